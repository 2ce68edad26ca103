#include "finetune/train/training_checks.h"

#include <algorithm>

#include "finetune/evaluate/label_order.h"
#include "finetune/evaluate/metrics.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

// What is known of the examples before anything answers them.
std::vector<Outcome> truths_of(const TrainRequest& request, const AdapterParts& parts,
                               const std::vector<EncodedExample>& examples) {
  std::vector<Outcome> truths;
  for (const EncodedExample& example : examples) {
    Outcome& outcome = truths.emplace_back();
    outcome.truth = example.label;
    outcome.true_values = example.values;
    outcome.quantiles = parts.form.quantiles;
    if (request.config.objective.of_pairs()) outcome.preference.emplace();
    if (request.task == Task::kLanguageModel) outcome.weight = static_cast<double>(example.supervised());
  }
  return truths;
}

std::int64_t taught_tokens(const EncodedExample& example) {
  std::int64_t tokens = example.supervised();
  for (const EncodedExample& rejected : example.rejected) tokens += rejected.supervised();
  return tokens;
}

const char* what_a_metric_needs(Task task) {
  if (has_one_label(task)) return "a label that the training part has";
  return has_numbers(task) ? "a value that is known" : "a token that the model is taught";
}

}  // namespace

void check_settings(const TrainRequest& request) {
  const auto check = [&](bool used, const char* setting, const char* tasks) {
    if (used) return;
    throw Error(ErrorCode::kInvalidInput,
                std::string(setting) + " is for the task " + tasks + ", not " + std::string(to_string(request.task)) +
                    "; leave it out",
                setting);
  };
  const TrainConfig& config = request.config;
  check(config.class_weights == "none" || request.task == Task::kClassify, "class_weights", "classify");
  check(config.quantiles.empty() || request.task == Task::kRegress, "quantiles", "regress");
  check(config.huber_delta == 0 || has_numbers(request.task), "huber_delta", "regress or forecast");
  check(config.continues.empty() || request.task == Task::kForecast, "continues", "forecast");
  check(config.remembered_answers == 0 || request.task == Task::kLanguageModel, "remembered_answers", "lm");
  check(request.labels.empty() || has_labels(request.task), "labels", "classify, ordinal or multilabel");
  const bool head = request.task != Task::kLanguageModel;
  const TrainConfig usual;
  const char* heads = "classify, ordinal, multilabel, regress or forecast";
  check(head || config.token_dropout == 0, "token_dropout", heads);
  check(head || config.side_trees == 0 || config.side_trees == usual.side_trees, "side_trees", heads);
  check(head || config.text_features == 0 || config.text_features == usual.text_features, "text_features", heads);
}

void check_metric(const TrainConfig& config, Task task, const std::vector<std::string>& labels) {
  const std::string& metric = config.metric;
  std::vector<std::string> known = config.objective.of_pairs() ? preference_metrics() : metrics_of(task, labels);
  if (!config.quantiles.empty()) known.emplace_back("pinball_loss");
  if (metric == "auto" || std::find(known.begin(), known.end(), metric) != known.end()) return;
  std::string list = "auto";
  for (const std::string& name : known) list += ", " + name;
  throw Error(
      ErrorCode::kInvalidInput,
      "metric cannot be \"" + metric + "\" for " + std::string(to_string(task)) + " with these labels; it has " + list,
      "metric");
}

void check_objective(const TrainRequest& request, const TrainingPart& examples) {
  const Objective& objective = request.config.objective;
  const std::string name(to_string(objective.kind));
  if (objective.kind != ObjectiveKind::kSft && request.task != Task::kLanguageModel)
    throw Error(ErrorCode::kInvalidInput,
                "objective " + name + " is for the task lm, not " + std::string(to_string(request.task)), "objective");
  for (const platform::Example* example : examples) {
    if (example->chosen.has_value() == objective.of_pairs()) continue;
    throw Error(ErrorCode::kInvalidInput,
                objective.of_pairs() ? "example " + example->id + " has no chosen and rejected answer, and objective " +
                                           name + " learns from pairs; give it both, or set objective: sft"
                                     : "example " + example->id + " is a pair of answers (chosen and rejected), and " +
                                           "objective " + name + " learns from one; set objective: dpo or orpo",
                "objective");
  }
}

void check_teachers(const TrainRequest& request, const Base& base, const TrainingPart& train) {
  if (request.config.objective.kind != ObjectiveKind::kDistillation) return;
  bool any = false;
  for (const platform::Example* example : train) {
    if (!example->teacher) continue;
    any = true;
    if (example->teacher->tokenizer == base.tokenizer_digest) continue;
    throw Error(ErrorCode::kInvalidInput,
                "example " + example->id + " has a teacher whose tokens are those of " + example->teacher->tokenizer +
                    ", not of this base's tokenizer " + base.tokenizer_digest + "; ask the teacher again for this base",
                "teacher");
  }
  if (any) return;
  throw Error(ErrorCode::kInvalidInput,
              "no example of the training part, such as " + train.front()->id +
                  ", has a teacher's probabilities, and objective distillation learns from them; for the teacher's "
                  "answers alone set objective: sft",
              "objective");
}

void check_reference(const TrainRequest& request, const SensorSchema& schema) {
  if (request.config.objective.kind != ObjectiveKind::kDpo || schema.empty()) return;
  throw Error(ErrorCode::kInvalidInput,
              "objective dpo compares with the bare base, which cannot read the slot of " + schema.fields[0].name +
                  "; write the value into the prompt, or set objective: orpo",
              "objective");
}

void check_weights(const TrainingPart& train) {
  if (std::any_of(train.begin(), train.end(), [](const platform::Example* example) { return example->weight > 0; }))
    return;
  throw Error(ErrorCode::kInvalidInput,
              "every example of the training part has the weight 0, the first is " + train.front()->id +
                  ", so that nothing would be learnt; give some a weight above 0, or leave `weight` out",
              "weight");
}

void check_taught(const TrainRequest& request, const TrainingPart& train, const std::vector<EncodedExample>& encoded,
                  TrainObserver& observer) {
  if (request.task != Task::kLanguageModel) return;
  std::size_t untaught = 0, first = 0;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (taught_tokens(encoded[i]) > 0) continue;
    if (untaught++ == 0) first = i;
  }
  if (untaught == 0) return;
  const char* remedy = "a conversation teaches what the role assistant says, a prompt its completion";
  if (untaught == encoded.size())
    throw Error(ErrorCode::kInvalidInput,
                "no example of the training part teaches a token, the first is " + train[first]->id + "; " + remedy,
                "messages");
  observer.on_notice("examples of the training part that teach no token: " + std::to_string(untaught) + " of " +
                     std::to_string(encoded.size()) + ", the first is " + train[first]->id + "; " + remedy);
}

void settle_metric(TrainRequest& request, const AdapterParts& parts, const TrainerData& data, TrainObserver& observer) {
  if (data.validation.empty()) return;
  const std::vector<Outcome> truths = truths_of(request, parts, data.validation);
  const std::vector<std::string> labels = scored_labels(request.task, parts.labels);
  std::vector<std::int32_t> learnt;
  for (const EncodedExample& example : data.train) learnt.push_back(example.label);
  const std::size_t positive = positive_class(request.profile, parts.labels, learnt);
  const std::string wanted = checkpoint_metric(request.config, request.task);
  if (is_defined(wanted, truths, labels, positive)) return;
  request.config.metric = "auto";
  const std::string usual = checkpoint_metric(request.config, request.task);
  if (!is_defined(usual, truths, labels, positive))
    throw Error(ErrorCode::kInvalidInput,
                "the validation part cannot choose a checkpoint by " + usual + ", because none of its " +
                    std::to_string(truths.size()) + " examples has " + what_a_metric_needs(request.task) +
                    "; divide the data otherwise, or leave the validation part out",
                "metric");
  observer.on_notice("the validation part says nothing of " + wanted + ", because all of its " +
                     std::to_string(truths.size()) + " examples are of one class; the checkpoint is chosen by " +
                     usual + " instead");
}

}  // namespace finetune
