#include "finetune/train/training_job.h"

#include <algorithm>
#include <cmath>

#include "finetune/adapter/adapter_folder.h"
#include "finetune/adapter/loaded_adapter.h"
#include "finetune/adapter/probe.h"
#include "finetune/evaluate/questions.h"
#include "finetune/train/parent_adapter.h"
#include "finetune/train/repeated_examples.h"
#include "finetune/train/trainer.h"
#include "finetune/train/training_checks.h"
#include "finetune/train/training_labels.h"
#include "finetune/train/unread_fields.h"
#include "platform/base/digest.h"
#include "platform/base/folder_lock.h"

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

// Values, or a forecast's differences from its level; all steps have the same unit.
void set_target_statistics(const std::vector<EncodedExample>& train, AdapterParts& parts) {
  std::vector<double> values;
  for (const EncodedExample& example : train) {
    if (parts.task == Task::kRegress) values.push_back(example.value);
    for (const double value : example.values) {
      if (std::isfinite(value)) values.push_back(value - example.level);
    }
  }
  if (values.empty())
    throw Error(ErrorCode::kInvalidInput, "no example of the training part has a value that is known", "values");
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  parts.target_mean = sum / static_cast<double>(values.size());
  for (const double value : values) squares += (value - parts.target_mean) * (value - parts.target_mean);
  parts.target_deviation = usable_deviation(parts.target_mean, std::sqrt(squares / static_cast<double>(values.size())));
}

HeadForm form_of(const TrainRequest& request, const std::vector<const platform::Example*>& train) {
  HeadForm form;
  if (has_numbers(request.task)) form.huber_delta = request.config.huber_delta;
  if (request.task == Task::kRegress) form.quantiles = request.config.quantiles;
  if (request.task != Task::kForecast) return form;
  form.continues = request.config.continues;
  if (form.continues.empty())
    throw Error(ErrorCode::kInvalidInput, "a forecast needs `continues`, the name of the signal that goes on",
                "continues");
  form.horizon = static_cast<std::int64_t>(train.front()->values.size());
  if (form.horizon >= 1 && form.horizon <= kLongestHorizon) return form;
  throw Error(ErrorCode::kInvalidInput,
              "example " + train.front()->id + " has " + std::to_string(form.horizon) +
                  " values; a forecast has 1 to " + std::to_string(kLongestHorizon),
              "values");
}

// Beside a head, where the examples have fields, or wordings that differ.
SideSize side_size_of(const TrainRequest& request, const SensorSchema& schema) {
  if (request.task == Task::kLanguageModel || !request.config.side_network) return {};
  if (schema.empty() && schema.wording.empty()) return {};
  // Tables of n-grams are large, and members beyond four add little to them.
  return {.members = schema.wording.empty() ? 8 : 4};
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

// What turns examples into numbers and answers: of a parent with a head all that the head was trained with, else learnt
// from the training part, beside a parent's slots.
void settle_statistics(const TrainRequest& request, const std::optional<ParentAdapter>& parent,
                       const std::vector<const platform::Example*>& train, TrainObserver& observer,
                       AdapterParts& parts) {
  if (parent && parent->has_head()) return take_statistics(*parent, parts);
  parts.form = form_of(request, train);
  if (parent) parts.schema = parent->slots();
  if (parts.schema.empty()) parts.schema = learn_sensor_schema(train, request.config.patch_size);
  if (request.task != Task::kLanguageModel && request.config.side_network)
    learn_wording(parts.schema, train, request.config.text_features, [&] { return observer.should_stop(); });
  parts.side_size = side_size_of(request, parts.schema);
}

// Nothing travels with the adapter but what is asked and what was answered.
platform::Example bare(const platform::Example& question) {
  platform::Example kept;
  kept.id = question.id;
  kept.prompt = question.prompt;
  kept.messages = question.messages;
  kept.numbers = question.numbers;
  kept.categories = question.categories;
  kept.signals = question.signals;
  kept.label = question.label;
  return kept;
}

// Of both parts: the validation part has said by now all that it had to say.
AnswerMemory remembered(const std::vector<platform::Example>& examples, std::int64_t most) {
  std::vector<platform::Example> answered;
  for (const platform::Example& example : examples) {
    if (example.split == Split::kTest) continue;
    const auto question = question_of(example);
    if (question && !(question->prompt.empty() && question->messages.empty())) answered.push_back(bare(*question));
  }
  std::vector<platform::Example> kept;
  const auto count = std::min(answered.size(), static_cast<std::size_t>(most));
  for (std::size_t i = 0; i < count; ++i) kept.push_back(answered[i * answered.size() / count]);
  return AnswerMemory(kept);
}

Manifest make_manifest(const TrainRequest& request, const std::optional<ParentAdapter>& parent, const Base& base,
                       const AdapterParts& parts, std::int64_t max_tokens, const TrainResult& result) {
  Manifest manifest;
  manifest.task = parts.task;
  manifest.labels = parts.labels;
  manifest.target_mean = parts.target_mean;
  manifest.target_deviation = parts.target_deviation;
  manifest.form = parts.form;
  manifest.side_size = parts.side_size;
  manifest.max_tokens = max_tokens;
  manifest.base_digest = base.digest;
  manifest.base_dtype = request.config.base_dtype;
  manifest.tokenizer_digest = base.tokenizer_digest;
  if (!parts.schema.empty() || !parts.schema.wording.empty()) manifest.sensors = to_json(parts.schema);
  manifest.profile = request.profile;
  manifest.training = training_record(request, parent, result);
  return manifest;
}

// Two trainings in one folder would take each other's checkpoint.
platform::FolderLock lock_of(const std::filesystem::path& work) {
  std::filesystem::create_directories(work);
  if (auto lock = platform::FolderLock::take(work)) return std::move(*lock);
  throw Error(ErrorCode::kConflict,
              "another training works in " + work.string() + "; wait for it, or give this one another folder (--work)",
              "work");
}

}  // namespace

TrainResult train_adapter(const TrainRequest& asked, TrainObserver& observer) {
  asked.config.validate();
  const std::optional<ParentAdapter> parent = parent_of(asked);
  TrainRequest request = settled(parent ? continued(asked, *parent) : asked);
  kernels::Context context = kernels::Context::cpu(request.threads);
  Base base = Base::load(request.base_folder, weight_precision_from(request.config.base_dtype));
  const std::vector<platform::Example> examples = read_examples(request.dataset);
  const auto train = part_of(examples, Split::kTrain);
  if (train.empty())
    throw Error(ErrorCode::kInvalidInput,
                "the dataset has no example in its training part: " + request.dataset.string());
  const auto validation = part_of(examples, Split::kValidation);
  check_objective(request, train);
  check_objective(request, validation);
  check_teachers(request, base, train);
  check_weights(train);
  check_settings(request);
  if (const auto notice = repeated_notice(repeated_in_parts(examples))) observer.on_notice(*notice);
  AdapterParts parts;
  parts.task = request.task;
  parts.labels = training_labels(request, train);
  check_metric(request.config, request.task, parts.labels);
  settle_statistics(request, parent, train, observer, parts);
  check_reference(request, parts.schema);
  if (const auto notice = unread_fields_notice(unread_fields(parts.schema, parts.form, train)))
    observer.on_notice(*notice);
  const EncodingRules rules = rules_of(base, parts, request.config.max_example_tokens);
  TrainerData data{encode_all(rules, train), encode_all(rules, validation)};
  check_taught(request, train, data.train, observer);
  settle_metric(request, parts, data, observer);
  if (has_numbers(request.task) && !(parent && parent->has_head())) set_target_statistics(data.train, parts);
  if (parent)
    start_from(context, base, *parent, request.seed, parts);
  else
    parts.start(base, peft_config(request.config), request.seed);
  parts.memory = remembered(examples, request.config.remembered_answers);
  AdaptedModel model(base, parts);
  if (parent) check_finite_effect(context, model, *train.front(), data.train.front());
  const platform::FolderLock lock = lock_of(request.work_folder);
  Trainer trainer(context, model, parts, data, request, key_of(request, parent, base));
  TrainResult result = trainer.run(observer);
  Manifest manifest = make_manifest(request, parent, base, parts, rules.max_tokens, result);
  std::vector<platform::Example> probe;
  for (std::size_t i = 0; i < std::min(kProbeExamples, train.size()); ++i) probe.push_back(*train[i]);
  manifest.probe = record_probe(context, model, rules, probe);
  if (!(recorded_effect(manifest.probe) >= kLeastEffect))
    observer.on_notice("the adapter changes no answer of its probe, so that nothing will load it; train longer, or " +
                       std::string("with a higher learning_rate"));
  result.base_digest = base.digest;
  result.adapter_digest = write_adapter(request.output_folder, parts, std::move(manifest));
  return result;
}

void remove_checkpoint(const TrainRequest& asked) {
  const std::filesystem::path work = settled(asked).work_folder;
  std::filesystem::remove(work / kCheckpointName);
  std::filesystem::remove(work / "lock");
  std::error_code not_empty;
  std::filesystem::remove(work, not_empty);
}

}  // namespace finetune
