#include "finetune/adapter/loaded_adapter.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "finetune/adapter/probe.h"

namespace finetune {

using platform::Error;
using platform::ErrorCode;

namespace {

void check_binding(const Manifest& manifest, const Base& base) {
  if (manifest.base_digest != base.digest) {
    throw Error(ErrorCode::kConflict, "the adapter was trained on another base: " + manifest.base_digest + ", not " +
                                          base.digest + "; give it the base it belongs to");
  }
  if (manifest.tokenizer_digest != base.tokenizer_digest) {
    throw Error(ErrorCode::kConflict, "the adapter was trained with another tokenizer: " + manifest.tokenizer_digest +
                                          ", not " + base.tokenizer_digest + "; give it the tokenizer it belongs to");
  }
}

Outcome head_outcome(const HeadTarget& target, const EncodedExample& example, const std::vector<float>& outputs) {
  Outcome outcome;
  std::vector<double> answer = head_answer(target, example, outputs);
  if (has_labels(target.task)) {
    outcome.probabilities.assign(answer.begin(), answer.end());
    outcome.marks = example.marks;
    outcome.unknown_labels = example.unknown_labels;
    if (!has_one_label(target.task)) return outcome;
    outcome.truth = example.label;
    outcome.prediction = chosen_label(target.task, outcome.probabilities);
  } else if (target.task == Task::kForecast) {
    outcome.true_values = example.values;
    outcome.predicted_values = std::move(answer);
  } else {
    outcome.true_value = example.value;
    outcome.predicted_value = answer[answer.size() / 2];  // of quantiles the middle one
    outcome.quantiles = target.form.quantiles;
    if (!outcome.quantiles.empty()) outcome.predicted_values = std::move(answer);
  }
  return outcome;
}

Outcome text_outcome(const EncodedExample& example, const std::vector<float>& outputs, const Objective& objective) {
  Outcome outcome;
  const PairLogprobs answers = pair_logprobs(example, outputs);
  outcome.predicted_value = -answers.chosen.sum;
  outcome.weight = static_cast<double>(answers.chosen.tokens);
  if (example.rejected.empty()) return outcome;
  const PairLoss pair = pair_loss(objective, answers);
  outcome.preference = Preference{pair.loss, pair.margin};
  return outcome;
}

void verify_own_probe(kernels::Context& context, LoadedAdapter& loaded, std::optional<WeightPrecision> precision) {
  try {
    verify_probe(context, *loaded.model, loaded.rules(), loaded.manifest.probe, kProbeTolerance32);
  } catch (const Error& error) {
    if (!precision || error.code() != ErrorCode::kConflict || to_string(*precision) == loaded.manifest.base_dtype)
      throw;
    throw Error(ErrorCode::kConflict, std::string(error.what()) + "; it was trained on the base in " +
                                          loaded.manifest.base_dtype + ", not in " +
                                          std::string(to_string(*precision)) + ": leave the base's dtype out");
  }
}

}  // namespace

EncodingRules rules_of(const Base& base, const AdapterParts& parts, std::int64_t max_tokens) {
  return {.tokenizer = &base.tokenizer,
          .chat = &base.chat,
          .schema = &parts.schema,
          .task = parts.task,
          .labels = &parts.labels,
          .form = &parts.form,
          .side = parts.side_size.members > 0,
          .max_tokens = std::min(max_tokens, base.config.max_positions)};
}

EncodingRules LoadedAdapter::rules() const {
  return rules_of(*base, *parts, adapter_digest.empty() ? base->config.max_positions : manifest.max_tokens);
}

EncodingRules LoadedAdapter::prompt_rules(std::int64_t answer_tokens) const {
  EncodingRules prompt = rules();
  const std::int64_t room =
      std::clamp<std::int64_t>(base->config.max_positions / 4, 1, std::max<std::int64_t>(1, answer_tokens));
  prompt.max_tokens = std::max<std::int64_t>(1, std::min(prompt.max_tokens, base->config.max_positions - room));
  return prompt;
}

AdapterParts load_parts(const std::filesystem::path& adapter_folder, const Manifest& manifest, const Base& base) {
  check_binding(manifest, base);
  AdapterParts parts;
  parts.task = manifest.task;
  parts.labels = manifest.labels;
  parts.target_mean = manifest.target_mean;
  parts.target_deviation = manifest.target_deviation;
  parts.form = manifest.form;
  parts.side_size = manifest.side_size;
  parts.schema = sensor_schema_from_json(manifest.sensors);
  parts.load(adapter_folder, base);
  if (manifest.files.contains(kMemoryName)) parts.memory = AnswerMemory::read(adapter_folder / kMemoryName);
  return parts;
}

LoadedAdapter load_adapter(kernels::Context& context, const std::filesystem::path& base_folder,
                           const std::optional<std::filesystem::path>& adapter_folder,
                           std::optional<WeightPrecision> precision) {
  LoadedAdapter loaded;
  if (adapter_folder) loaded.manifest = read_manifest(*adapter_folder);
  const WeightPrecision trained = weight_precision_from(loaded.manifest.base_dtype);
  loaded.base = std::make_unique<Base>(Base::load(base_folder, precision.value_or(trained)));
  loaded.parts = std::make_unique<AdapterParts>();
  if (adapter_folder) {
    *loaded.parts = load_parts(*adapter_folder, loaded.manifest, *loaded.base);
    loaded.adapter_digest = adapter_digest(*adapter_folder);
  }
  loaded.model = std::make_unique<AdaptedModel>(*loaded.base, *loaded.parts);
  if (adapter_folder) verify_own_probe(context, loaded, precision);
  return loaded;
}

std::vector<std::vector<float>> outputs_of(kernels::Context& context, AdaptedModel& model,
                                           const std::vector<EncodedExample>& examples, std::int64_t max_tokens,
                                           const StopQuestion& should_stop) {
  std::vector<std::size_t> order(examples.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::vector<float>> all;
  for (const auto& group : group_by_tokens(examples, order, max_tokens)) {
    if (should_stop && should_stop()) throw Error(ErrorCode::kCancelled, "the computation was asked to stop");
    std::vector<const EncodedExample*> batch;
    for (const std::size_t index : group) batch.push_back(&examples[index]);
    for (auto& row : model.outputs(context, batch)) all.push_back(std::move(row));
  }
  return all;
}

std::vector<Outcome> outcomes_of(const AdapterParts& parts, const std::vector<EncodedExample>& examples,
                                 const std::vector<std::vector<float>>& outputs, const Objective& objective) {
  const HeadTarget target = parts.head_target();
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    outcomes.push_back(parts.task == Task::kLanguageModel ? text_outcome(examples[i], outputs[i], objective)
                                                          : head_outcome(target, examples[i], outputs[i]));
  }
  return outcomes;
}

}  // namespace finetune
