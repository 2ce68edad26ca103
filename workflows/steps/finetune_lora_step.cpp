#include "workflows/steps/finetune_lora_step.h"

#include <algorithm>

#include "finetune/evaluate/metrics.h"
#include "finetune/train/training_job.h"
#include "platform/dataset/profile.h"

namespace workflows {
namespace {

namespace json = platform::json;

// Carries the trainer's progress to the run, and the run's wish to stop to the trainer.
class RunObserver final : public finetune::TrainObserver {
 public:
  explicit RunObserver(platform::StepContext& context) : context_(context) {}
  void on_step(const finetune::TrainProgress& progress) override {
    context_.report_metric("loss", progress.step, progress.loss);
    context_.report_metric("learning_rate", progress.step, progress.learning_rate);
    if (progress.validation_loss) context_.report_metric("validation_loss", progress.step, *progress.validation_loss);
    if (progress.validation_metric)
      context_.report_metric("validation_" + progress.metric, progress.step, *progress.validation_metric);
    if (progress.reward_accuracy)
      context_.report_metric("validation_reward_accuracy", progress.step, *progress.reward_accuracy);
    if (progress.reward_margin)
      context_.report_metric("validation_reward_margin", progress.step, *progress.reward_margin);
    context_.report_progress({{"step", progress.step},
                              {"total_steps", progress.total_steps},
                              {"epoch", progress.epoch},
                              {"loss", progress.loss},
                              {"tokens_per_second", progress.tokens_per_second},
                              {"seconds_left", progress.seconds_left}});
  }
  bool should_stop() override { return context_.should_stop(); }

 private:
  platform::StepContext& context_;
};

// `with` without the keys that are not the trainer's.
json::object trainer_settings(const json::object& with) {
  json::object settings;
  for (const auto& [key, value] : with) {
    if (key == "base" || key == "dataset" || key == "task" || key == "seed") continue;
    settings[key] = value;
  }
  return settings;
}

finetune::TrainRequest request_of(const platform::StepContext& context, const StepServices& services) {
  const json::object& with = context.inputs();
  const json::object* snapshot = context.outputs_of("dataset.snapshot");
  finetune::TrainRequest request;
  request.base_folder = platform::base_folder(services.data, platform::require_string(with, "base", "with"));
  const std::filesystem::path folder = folder_for(context.work_folder(), with);
  request.dataset = folder / "dataset.jsonl";
  const std::string task =
      snapshot == nullptr ? "classify" : platform::string_or(*snapshot, "task", "classify", "dataset");
  request.task = finetune::task_from(platform::string_or(with, "task", task, "with"));
  request.config = finetune::train_config_from_json(trainer_settings(with));
  request.work_folder = folder / "training";
  request.output_folder = folder / "adapter";
  request.seed = static_cast<std::uint64_t>(platform::int_or(with, "seed", 1, "with"));
  request.threads = services.threads;
  const json::value* profile = snapshot == nullptr ? nullptr : platform::find(*snapshot, "profile");
  if (profile == nullptr) return request;
  request.profile = *profile;
  request.labels = platform::profile_from_json(*profile).target.labels;
  // A snapshot lists the labels that it found in the alphabet's order, which need not be theirs.
  const auto numeric = [](const std::string& label) {
    double value = 0;
    return finetune::is_numeric_label(label, value);
  };
  if (request.task == finetune::Task::kOrdinal && !std::all_of(request.labels.begin(), request.labels.end(), numeric)) {
    throw platform::Error(
        platform::ErrorCode::kInvalidInput,
        "task ordinal needs labels that are numbers, which have an order; write them so, or set task: "
        "classify",
        "task");
  }
  return request;
}

}  // namespace

platform::StepOutcome FinetuneLoraStep::execute(platform::StepContext& context) {
  const finetune::TrainRequest request = request_of(context, services_);
  services_.blobs.copy_to(platform::require_string(context.inputs(), "dataset", "with"), request.dataset);
  RunObserver observer(context);
  const finetune::TrainResult result = finetune::train_adapter(request, observer);
  platform::StepOutcome outcome;
  outcome.outputs = {{"adapter", services_.blobs.put_folder(request.output_folder)},
                     {"base", context.inputs().at("base")},
                     {"base_digest", result.base_digest},
                     {"digest", result.adapter_digest},
                     {"steps", result.steps},
                     {"best_step", result.best_step}};
  if (result.validation_metric)
    outcome.outputs["validation"] = json::object{{"metric", result.metric}, {"value", *result.validation_metric}};
  context.say("trained " + std::to_string(result.steps) + " steps; best after " + std::to_string(result.best_step) +
              "; adapter " + result.adapter_digest);
  return outcome;
}

}  // namespace workflows
