// TrainingChecks: what a training refuses before its first step, because it would learn nothing, or something else than
// was asked for. All throw kInvalidInput naming the setting or the example, and what to do. Pure functions, but for
// what they tell the observer; any thread.
#pragma once

#include <string>
#include <vector>

#include "finetune/adapter/adapted_model.h"
#include "finetune/train/trainer.h"
#include "finetune/train/training_job.h"

namespace finetune {

using TrainingPart = std::vector<const platform::Example*>;

/// A setting that the task has no use for is a mistake of whoever wrote it.
void check_settings(const TrainRequest& request);
/// The metric must be one that the task has with these labels.
void check_metric(const TrainConfig& config, Task task, const std::vector<std::string>& labels);
/// Every example must be what the objective learns from.
void check_objective(const TrainRequest& request, const TrainingPart& examples);
/// Distillation needs a teacher somewhere; token numbers mean nothing to another tokenizer.
void check_teachers(const TrainRequest& request, const Base& base, const TrainingPart& train);
/// dpo: the bare base is the reference, and it does not know what a slot's embedding means.
void check_reference(const TrainRequest& request, const SensorSchema& schema);
/// Some example must weigh more than nothing.
void check_weights(const TrainingPart& train);
/// lm: some example must teach a token; where others do not, the observer is told how many. `encoded`: those of
/// `train`.
void check_taught(const TrainRequest& request, const TrainingPart& train, const std::vector<EncodedExample>& encoded,
                  TrainObserver& observer);
/// Where the validation part says nothing of the metric that was asked for (see is_defined), the observer is told and
/// the task's usual one chooses instead; where it says nothing of that one either, it is refused.
void settle_metric(TrainRequest& request, const AdapterParts& parts, const TrainerData& data, TrainObserver& observer);

}  // namespace finetune
