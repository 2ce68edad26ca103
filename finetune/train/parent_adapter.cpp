#include "finetune/train/parent_adapter.h"

#include <algorithm>
#include <cmath>

#include "finetune/adapter/loaded_adapter.h"
#include "finetune/adapter/probe.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr const char* kPeftFiles[] = {"adapter_config.json", "adapter_model.safetensors"};

[[noreturn]] void differs(const std::string& setting, const std::string& asked, const std::string& parents) {
  throw Error(ErrorCode::kConflict,
              setting + " is " + asked + " in the request, but " + parents +
                  " in the adapter that it starts from; leave it out, or start without init_adapter",
              setting);
}

std::string digest_of_peft_files(const std::filesystem::path& folder) {
  json::object digests;
  for (const char* name : kPeftFiles) digests[name] = platform::digest_of_file(folder / name);
  return "sha256:" + platform::sha256_hex(platform::canonical_json(digests));
}

void take_lora(const PeftConfig& peft, TrainConfig& config) {
  config.r = peft.r;
  config.alpha = peft.lora_alpha;
  config.dropout = peft.lora_dropout;
  config.rank_pattern = peft.rank_pattern;
  config.alpha_pattern = peft.alpha_pattern;
  config.init_lora_weights = peft.init_lora_weights;
  config.use_rslora = peft.use_rslora;
  config.use_dora = peft.use_dora;
  config.lora_bias = peft.lora_bias;
}

// What the adapter is, in the words of a training's settings. Those of another kind stay as they are, and are refused
// where they were given.
TrainConfig with_parent(TrainConfig config, const ParentAdapter& parent) {
  const PeftConfig& peft = parent.config;
  config.peft_type = std::string(to_string(peft.type));
  config.target_modules = peft.target_modules;
  config.target_pattern = peft.target_pattern;
  config.exclude_modules = peft.exclude_modules;
  config.modules_to_save = peft.modules_to_save;
  config.trainable_token_indices = peft.trainable_token_indices;
  config.layers_to_transform = peft.layers_to_transform;
  if (peft.type == PeftType::kLora) take_lora(peft, config);
  if (peft.type == PeftType::kIa3) config.feedforward_modules = peft.feedforward_modules;
  if (peft.type == PeftType::kBottleneck) {
    config.bottleneck_size = peft.bottleneck_size;
    config.non_linearity = peft.non_linearity;
  }
  if (!parent.manifest) return config;
  const Manifest& manifest = *parent.manifest;
  config.base_dtype = manifest.base_dtype;
  if (const SensorSchema slots = parent.slots(); !slots.empty()) config.patch_size = slots.patch_size;
  if (!parent.has_head()) return config;
  config.huber_delta = manifest.form.huber_delta;
  config.quantiles = manifest.form.quantiles;
  config.continues = manifest.form.continues;
  config.side_network = manifest.side_size.members > 0;
  return config;
}

// Lists of names have no order.
bool same(const json::value& a, const json::value& b) {
  if (!a.is_array() || !b.is_array()) return a == b;
  return a.get_array().size() == b.get_array().size() &&
         std::is_permutation(a.get_array().begin(), a.get_array().end(), b.get_array().begin());
}

bool is_default(const json::value& asked, const json::value& fallback) {
  return same(asked, fallback) || (asked.is_array() && asked.get_array().empty());
}

// A setting that stands at its default was not asked for.
void check_settings(const TrainConfig& asked, const TrainConfig& settled) {
  const json::value fallback = to_json(TrainConfig{}), wanted = to_json(settled), given = to_json(asked);
  for (const auto& [key, value] : given.as_object()) {
    if (is_default(value, fallback.at(key)) || same(value, wanted.at(key))) continue;
    differs(std::string(key), json::serialize(value), json::serialize(wanted.at(key)));
  }
}

std::string listed(const std::vector<std::string>& names) { return json::serialize(platform::to_json(names)); }

}  // namespace

bool ParentAdapter::has_head() const { return manifest && manifest->task != Task::kLanguageModel; }

SensorSchema ParentAdapter::slots() const {
  return manifest && !manifest->sensors.is_null() ? sensor_schema_from_json(manifest->sensors) : SensorSchema{};
}

ParentAdapter read_parent(const std::filesystem::path& folder) {
  ParentAdapter parent;
  parent.folder = folder;
  for (const char* name : kPeftFiles) {
    if (std::filesystem::exists(folder / name)) continue;
    throw Error(ErrorCode::kNotFound,
                "there is no adapter to start from in " + folder.string() + ": " + name +
                    " is missing; give the folder of an adapter",
                "init_adapter");
  }
  if (std::filesystem::exists(folder / "anneal.json")) {
    parent.manifest = read_manifest(folder);
    parent.digest = adapter_digest(folder);
  } else {
    parent.digest = digest_of_peft_files(folder);
  }
  parent.config = peft_config_from_json(platform::read_json_file(folder / kPeftFiles[0]));
  return parent;
}

TrainRequest continued(TrainRequest request, const ParentAdapter& parent) {
  TrainConfig settled = with_parent(request.config, parent);
  check_settings(request.config, settled);
  settled.validate();
  request.config = std::move(settled);
  if (!parent.has_head()) return request;
  if (request.task != parent.manifest->task)
    differs("task", std::string(to_string(request.task)), std::string(to_string(parent.manifest->task)));
  if (!request.labels.empty() && request.labels != parent.manifest->labels)
    differs("labels", listed(request.labels), listed(parent.manifest->labels));
  request.labels = parent.manifest->labels;
  return request;
}

void take_statistics(const ParentAdapter& parent, AdapterParts& parts) {
  const Manifest& manifest = *parent.manifest;
  parts.target_mean = manifest.target_mean;
  parts.target_deviation = manifest.target_deviation;
  parts.form = manifest.form;
  parts.side_size = manifest.side_size;
  parts.schema = parent.slots();
}

void start_from(kernels::Context& context, Base& base, const ParentAdapter& parent, std::uint64_t seed,
                AdapterParts& parts) {
  if (!parent.manifest) return parts.start_from(base, Adapter::load(parent.folder, base.config, base.weights), seed);
  AdapterParts stored = load_parts(parent.folder, *parent.manifest, base);
  {
    AdaptedModel model(base, stored);
    verify_probe(context, model, rules_of(base, stored, parent.manifest->max_tokens), parent.manifest->probe,
                 kProbeTolerance32);
  }
  parts.start_from(base, std::move(stored.adapter), seed);
  if (stored.encoder) parts.encoder = std::move(stored.encoder);
  if (stored.head) parts.head = std::move(stored.head);
  if (!stored.side) return;
  parts.side = std::move(stored.side);
  parts.side_trees = std::move(stored.side_trees);
  parts.side_is_fitted = true;
}

void check_finite_effect(kernels::Context& context, AdaptedModel& model, const platform::Example& example,
                         const EncodedExample& encoded) {
  const EncodedExample* batch[] = {&encoded};
  const double loss = model.loss(context, batch, nullptr).loss;
  if (std::isfinite(loss)) return;
  throw Error(
      ErrorCode::kConflict,
      "the adapter that the training starts from gives example " + example.id + " the loss " + std::to_string(loss) +
          ", which nothing can be learnt from; check that its files are whole and that " + "it belongs to this base",
      "init_adapter");
}

}  // namespace finetune
