#include "finetune/train/training_job.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "finetune/adapter/adapter_folder.h"
#include "finetune/adapter/loaded_adapter.h"
#include "finetune/adapter/probe.h"
#include "finetune/train/parent_adapter.h"
#include "finetune/train/trainer.h"
#include "platform/base/digest.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Split;

constexpr std::size_t kProbeExamples = 3;

std::vector<const platform::Example*> part_of(const std::vector<platform::Example>& examples, Split split) {
  std::vector<const platform::Example*> part;
  for (const platform::Example& example : examples) {
    if (example.split == split) part.push_back(&example);
  }
  return part;
}

std::vector<std::string> labels_of(const TrainRequest& request, const std::vector<const platform::Example*>& train) {
  if (request.task != Task::kClassify) return {};
  std::set<std::string> found;
  for (const platform::Example* example : train) {
    if (example->label) found.insert(*example->label);
  }
  std::vector<std::string> labels =
      request.labels.empty() ? std::vector<std::string>(found.begin(), found.end()) : request.labels;
  for (const std::string& label : found) {
    if (std::find(labels.begin(), labels.end(), label) != labels.end()) continue;
    throw Error(ErrorCode::kInvalidInput, "the training part has a label that is not listed: \"" + label + "\"",
                "labels");
  }
  if (labels.size() < 2)
    throw Error(ErrorCode::kInvalidInput, "classification needs at least two labels in the training part", "labels");
  return labels;
}

void check_metric(const std::string& metric, Task task, const std::vector<std::string>& labels) {
  const std::vector<std::string> known = metrics_of(task, labels);
  if (metric == "auto" || std::find(known.begin(), known.end(), metric) != known.end()) return;
  std::string list = "auto";
  for (const std::string& name : known) list += ", " + name;
  throw Error(
      ErrorCode::kInvalidInput,
      "metric cannot be \"" + metric + "\" for " + std::string(to_string(task)) + " with these labels; it has " + list,
      "metric");
}

void set_target_statistics(const std::vector<const platform::Example*>& train, AdapterParts& parts) {
  double sum = 0, squares = 0;
  for (const platform::Example* example : train) {
    if (!example->value) throw Error(ErrorCode::kInvalidInput, "example " + example->id + " has no value", "value");
    sum += *example->value;
  }
  parts.target_mean = sum / static_cast<double>(train.size());
  for (const platform::Example* example : train)
    squares += (*example->value - parts.target_mean) * (*example->value - parts.target_mean);
  parts.target_deviation = usable_deviation(parts.target_mean, std::sqrt(squares / static_cast<double>(train.size())));
}

std::vector<EncodedExample> encode_all(const EncodingRules& rules,
                                       const std::vector<const platform::Example*>& examples) {
  std::vector<EncodedExample> encoded;
  for (const platform::Example* example : examples) encoded.push_back(encode_example(rules, *example, true));
  return encoded;
}

std::string key_of(const TrainRequest& request, const std::optional<ParentAdapter>& parent, const Base& base) {
  json::object key{{"base", base.digest},
                   {"tokenizer", base.tokenizer_digest},
                   {"dataset", platform::digest_of_file(request.dataset)},
                   {"task", to_string(request.task)},
                   {"labels", platform::to_json(request.labels)},
                   {"config", to_json(request.config)},
                   {"profile", request.profile},
                   {"seed", request.seed}};
  if (parent) key["parent"] = parent->digest;
  return platform::sha256_hex(platform::canonical_json(key));
}

json::object training_record(const TrainRequest& request, const std::optional<ParentAdapter>& parent,
                             const TrainResult& result) {
  json::object record{{"config", to_json(request.config)},
                      {"seed", request.seed},
                      {"dataset", platform::digest_of_file(request.dataset)},
                      {"steps", result.steps},
                      {"best_step", result.best_step},
                      {"skipped_steps", result.skipped_steps},
                      {"metric", result.metric}};
  if (result.validation_metric) record["validation_metric"] = *result.validation_metric;
  if (parent) record["parent"] = parent->digest;
  return record;
}

// Both folders settled once, so that a slash at the end of a name changes nothing.
TrainRequest settled(TrainRequest request) {
  request.output_folder = plain_folder(request.output_folder, "out");
  request.work_folder = request.work_folder.empty() ? std::filesystem::path(request.output_folder.string() + ".work")
                                                    : plain_folder(request.work_folder, "work");
  const auto [output, work] = std::mismatch(request.output_folder.begin(), request.output_folder.end(),
                                            request.work_folder.begin(), request.work_folder.end());
  if (output == request.output_folder.end()) {
    throw Error(ErrorCode::kInvalidInput,
                "the work folder must lie outside the output, which is replaced as a whole: " +
                    request.work_folder.string() + "; give another",
                "work");
  }
  check_adapter_place(request.output_folder);
  return request;
}

// The parent stays: what an adapter was made from can be looked up, and a second run starts from the same again.
std::optional<ParentAdapter> parent_of(const TrainRequest& request) {
  if (request.init_adapter.empty()) return std::nullopt;
  std::error_code absent;
  if (std::filesystem::equivalent(request.init_adapter, request.output_folder, absent)) {
    throw Error(ErrorCode::kInvalidInput,
                "the output would replace the adapter that the training starts from: " +
                    request.output_folder.string() + "; give another folder",
                "out");
  }
  return read_parent(request.init_adapter);
}

Manifest make_manifest(const TrainRequest& request, const std::optional<ParentAdapter>& parent, const Base& base,
                       const AdapterParts& parts, std::int64_t max_tokens, const TrainResult& result) {
  Manifest manifest;
  manifest.task = parts.task;
  manifest.labels = parts.labels;
  manifest.target_mean = parts.target_mean;
  manifest.target_deviation = parts.target_deviation;
  manifest.max_tokens = max_tokens;
  manifest.base_digest = base.digest;
  manifest.base_dtype = request.config.base_dtype;
  manifest.tokenizer_digest = base.tokenizer_digest;
  if (!parts.schema.empty()) manifest.sensors = to_json(parts.schema);
  manifest.profile = request.profile;
  manifest.training = training_record(request, parent, result);
  return manifest;
}

}  // namespace

TrainResult train_adapter(const TrainRequest& asked, TrainObserver& observer) {
  asked.config.validate();
  const std::optional<ParentAdapter> parent = parent_of(asked);
  const TrainRequest request = settled(parent ? continued(asked, *parent) : asked);
  kernels::Context context = kernels::Context::cpu(request.threads);
  Base base = Base::load(request.base_folder, weight_precision_from(request.config.base_dtype));
  const std::vector<platform::Example> examples = read_examples(request.dataset);
  const auto train = part_of(examples, Split::kTrain);
  if (train.empty())
    throw Error(ErrorCode::kInvalidInput,
                "the dataset has no example in its training part: " + request.dataset.string());
  AdapterParts parts;
  parts.task = request.task;
  parts.labels = labels_of(request, train);
  check_metric(request.config.metric, request.task, parts.labels);
  if (request.task == Task::kRegress) set_target_statistics(train, parts);
  const bool slots_known = parent && take_statistics(*parent, parts);
  if (!slots_known) parts.schema = learn_sensor_schema(train, request.config.patch_size);
  const EncodingRules rules{.tokenizer = &base.tokenizer,
                            .chat = &base.chat,
                            .schema = &parts.schema,
                            .task = request.task,
                            .labels = &parts.labels,
                            .max_tokens = std::min(request.config.max_example_tokens, base.config.max_positions)};
  TrainerData data{encode_all(rules, train), encode_all(rules, part_of(examples, Split::kValidation))};
  if (parent)
    start_from(context, base, *parent, request.seed, parts);
  else
    parts.start(base, peft_config(request.config), request.seed);
  AdaptedModel model(base, parts);
  Trainer trainer(context, model, parts, data, request, key_of(request, parent, base));
  TrainResult result = trainer.run(observer);
  Manifest manifest = make_manifest(request, parent, base, parts, rules.max_tokens, result);
  std::vector<platform::Example> probe;
  for (std::size_t i = 0; i < std::min(kProbeExamples, train.size()); ++i) probe.push_back(*train[i]);
  manifest.probe = record_probe(context, model, rules, probe);
  result.base_digest = base.digest;
  result.adapter_digest = write_adapter(request.output_folder, parts, std::move(manifest));
  return result;
}

void remove_checkpoint(const TrainRequest& asked) {
  const std::filesystem::path work = settled(asked).work_folder;
  std::filesystem::remove(work / kCheckpointName);
  std::error_code not_empty;
  std::filesystem::remove(work, not_empty);
}

}  // namespace finetune
