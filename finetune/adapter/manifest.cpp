#include "finetune/adapter/manifest.h"

#include <cmath>
#include <set>

#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr const char* kManifestName = "anneal.json";
constexpr std::int64_t kFormat = 4;

const json::value& value_or_null(const json::object& object, std::string_view key) {
  static const json::value kNull;
  const json::value* value = platform::find(object, key);
  return value == nullptr ? kNull : *value;
}

void check(bool good, const std::string& what) {
  if (!good) throw Error(ErrorCode::kCorrupt, "anneal.json: " + what + "; fetch the adapter again");
}

void check_values(const Manifest& manifest) {
  const std::set<std::string> different(manifest.labels.begin(), manifest.labels.end());
  check(different.size() == manifest.labels.size(), "a label stands twice");
  check(!has_one_label(manifest.task) || manifest.labels.size() >= 2,
        "a classifier needs two labels, it has " + std::to_string(manifest.labels.size()));
  check(
      std::isfinite(manifest.target_mean) && std::isfinite(manifest.target_deviation) && manifest.target_deviation > 0,
      "the target's mean and deviation must be numbers, the deviation positive");
  check(manifest.task != Task::kMultilabel || !manifest.labels.empty(), "it has no label to tell");
  check(manifest.side_size.members >= 0 && manifest.side_size.members <= 1024 && manifest.side_size.width >= 1 &&
            manifest.side_size.width <= 1024 && manifest.side_size.members * manifest.side_size.width <= 1024,
        "the members of a side network have at most 1024 units together");
  check(manifest.form.horizon >= 1 && manifest.form.horizon <= kLongestHorizon,
        "a forecast has 1 to " + std::to_string(kLongestHorizon) + " steps");
  check(manifest.task != Task::kForecast || !manifest.form.continues.empty(), "a forecast continues a signal");
  check(std::isfinite(manifest.form.huber_delta) && manifest.form.huber_delta >= 0, "huber_delta must be 0 or more");
  check(manifest.form.quantiles.size() <= 99 && (manifest.form.quantiles.empty() || manifest.task == Task::kRegress),
        "at most 99 quantiles, of a value");
  for (std::size_t i = 0; i < manifest.form.quantiles.size(); ++i) {
    check(manifest.form.quantiles[i] > 0 && manifest.form.quantiles[i] < 1 &&
              (i == 0 || manifest.form.quantiles[i] > manifest.form.quantiles[i - 1]),
          "quantiles rise between 0 and 1");
  }
  check(manifest.max_tokens >= 1, "max_tokens must be at least 1, not " + std::to_string(manifest.max_tokens));
}

HeadForm form_from(const json::object& object) {
  HeadForm form;
  form.huber_delta = platform::number_or(object, "huber_delta", 0, kManifestName);
  form.continues = platform::string_or(object, "continues", "", kManifestName);
  form.horizon = platform::int_or(object, "horizon", 1, kManifestName);
  const json::value* quantiles = platform::find(object, "quantiles");
  if (quantiles == nullptr) return form;
  for (const json::value& each : platform::as_array(*quantiles, "quantiles")) {
    check(each.is_number(), "a quantile is no number");
    form.quantiles.push_back(each.to_number<double>());
  }
  return form;
}

// A file that no digest covers could be exchanged without notice.
void check_files_are_named(const Manifest& manifest) {
  std::vector<std::string> needed{"adapter_config.json", "adapter_model.safetensors"};
  if (manifest.task != Task::kLanguageModel || !manifest.sensors.is_null()) needed.emplace_back("sensor.safetensors");
  for (const std::string& name : needed) check(manifest.files.contains(name), "it gives no digest of " + name);
}

}  // namespace

json::value to_json(const Manifest& manifest) {
  json::object files;
  for (const auto& [name, digest] : manifest.files) files[name] = digest;
  return json::object{{"format", kFormat},
                      {"task", to_string(manifest.task)},
                      {"labels", platform::to_json(manifest.labels)},
                      {"target_mean", manifest.target_mean},
                      {"target_deviation", manifest.target_deviation},
                      {"huber_delta", manifest.form.huber_delta},
                      {"quantiles", json::array(manifest.form.quantiles.begin(), manifest.form.quantiles.end())},
                      {"continues", manifest.form.continues},
                      {"horizon", manifest.form.horizon},
                      {"side_members", manifest.side_size.members},
                      {"side_width", manifest.side_size.width},
                      {"max_tokens", manifest.max_tokens},
                      {"base", manifest.base_digest},
                      {"base_dtype", manifest.base_dtype},
                      {"tokenizer", manifest.tokenizer_digest},
                      {"files", files},
                      {"sensors", manifest.sensors},
                      {"profile", manifest.profile},
                      {"training", manifest.training},
                      {"probe", manifest.probe}};
}

Manifest manifest_from_json(const json::value& value) {
  const std::string where = kManifestName;
  const json::object& object = platform::as_object(value, where);
  const std::int64_t format = platform::require_int(object, "format", where);
  if (format != kFormat) {
    throw Error(ErrorCode::kInvalidInput,
                "anneal.json has the format " + std::to_string(format) + ", this program reads " +
                    std::to_string(kFormat) + "; train the adapter again or take the program that wrote it",
                "format");
  }
  Manifest manifest;
  manifest.task = task_from(platform::require_string(object, "task", where));
  manifest.labels = platform::strings_from(platform::require(object, "labels", where), "labels");
  manifest.target_mean = platform::require_number(object, "target_mean", where);
  manifest.target_deviation = platform::require_number(object, "target_deviation", where);
  manifest.form = form_from(object);
  manifest.side_size.members = platform::int_or(object, "side_members", 0, where);
  manifest.side_size.width = platform::int_or(object, "side_width", manifest.side_size.width, where);
  manifest.max_tokens = platform::require_int(object, "max_tokens", where);
  manifest.base_digest = platform::require_string(object, "base", where);
  manifest.base_dtype = platform::string_or(object, "base_dtype", manifest.base_dtype, where);
  manifest.tokenizer_digest = platform::require_string(object, "tokenizer", where);
  for (const auto& pair : platform::as_object(platform::require(object, "files", where), "files")) {
    manifest.files[std::string(pair.key())] =
        platform::require_string(object.at("files").as_object(), pair.key(), "files");
  }
  manifest.sensors = value_or_null(object, "sensors");
  manifest.profile = value_or_null(object, "profile");
  manifest.training = value_or_null(object, "training");
  manifest.probe = value_or_null(object, "probe");
  check_values(manifest);
  return manifest;
}

Manifest read_manifest(const std::filesystem::path& adapter_folder) {
  Manifest manifest = manifest_from_json(platform::read_json_file(adapter_folder / kManifestName));
  check_files_are_named(manifest);
  for (const auto& [name, digest] : manifest.files) {
    if (name.find('/') != std::string::npos || name.starts_with(".")) {
      throw Error(ErrorCode::kCorrupt, "anneal.json names a file outside its folder: " + name);
    }
    const std::string found = platform::digest_of_file(adapter_folder / name);
    if (found != digest) {
      throw Error(ErrorCode::kCorrupt, "the adapter's file differs from its manifest: " + name + " is " + found +
                                           ", not " + digest + "; fetch the adapter again");
    }
  }
  return manifest;
}

std::string adapter_digest(const std::filesystem::path& adapter_folder) {
  return platform::digest_of_file(adapter_folder / kManifestName);
}

}  // namespace finetune
