#include "workflows/steps/finetune_lora_step.h"

#include <cmath>

#include "finetune/evaluate/label_order.h"
#include "finetune/train/training_job.h"
#include "platform/dataset/profile.h"
#include "platform/registry/model_registry.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

// Carries the trainer's progress to the run, and the run's wish to stop to the trainer.
class RunObserver final : public finetune::TrainObserver {
 public:
  explicit RunObserver(platform::StepContext& context) : context_(context) {}
  void on_step(const finetune::TrainProgress& progress) override {
    const bool known = std::isfinite(progress.loss);  // a skipped step has none
    if (known) context_.report_metric("loss", progress.step, progress.loss);
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
                              {"loss", known ? json::value(progress.loss) : json::value(nullptr)},
                              {"tokens_per_second", progress.tokens_per_second},
                              {"seconds_left", progress.seconds_left}});
  }
  void on_notice(const std::string& notice) override { context_.say(notice); }
  bool should_stop() override { return context_.should_stop(); }

 private:
  platform::StepContext& context_;
};

// `with` without the keys that are not the trainer's.
json::object trainer_settings(const json::object& with) {
  json::object settings = with;
  for (const char* key : {"base", "dataset", "init_adapter", "labels", "seed", "task"}) settings.erase(key);
  return settings;
}

// The step's own, else the profile's. A snapshot that was not told of labels lists those that it found in the
// alphabet's order, which need not be theirs: numbers have one of their own.
std::vector<std::string> labels_of(const json::object& with, const json::object* snapshot, finetune::Task task) {
  if (const json::value* given = platform::find(with, "labels")) {
    if (finetune::has_labels(task)) return platform::strings_from(*given, "labels");
    throw Error(
        ErrorCode::kInvalidInput,
        "labels are for tasks that have them, not " + std::string(finetune::to_string(task)) + "; leave them out",
        "labels");
  }
  const json::value* profile = snapshot == nullptr ? nullptr : platform::find(*snapshot, "profile");
  if (profile == nullptr) return {};
  std::vector<std::string> labels = platform::profile_from_json(*profile).target.labels;
  if (task != finetune::Task::kOrdinal || platform::bool_or(*snapshot, "labels_listed", false, "dataset"))
    return labels;
  if (finetune::all_numeric(labels)) return finetune::in_order_of_numbers(std::move(labels));
  std::string list;
  for (const std::string& label : labels) list += (list.empty() ? "" : ", ") + label;
  throw Error(ErrorCode::kInvalidInput,
              "the order of the labels is not known: " + list + " are no numbers; list them from low to high, as " +
                  "labels: [" + list + "] in their order, in this step or in the target of the profile",
              "labels");
}

// The blob of the adapter that the training goes on from; empty where there is none. An alias that stands nowhere yet
// is a fresh start, so that the first run of a nightly workflow is like every other.
std::string parent_of(platform::StepContext& context, const StepServices& services) {
  const std::string name = platform::string_or(context.inputs(), "init_adapter", "", "with");
  if (name.empty() || name.starts_with("sha256:")) return name;
  const std::size_t slash = name.rfind('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == name.size())
    throw Error(ErrorCode::kInvalidInput,
                "init_adapter is an adapter of another step, ${{ steps.X.adapter }}, or a model version such as "
                "NAME/3 or NAME/production, not '" +
                    name + "'",
                "init_adapter");
  const std::string model = name.substr(0, slash), version = name.substr(slash + 1);
  const auto found =
      services.registry == nullptr ? std::nullopt : services.registry->resolve(context.run().project, model, version);
  if (found) {
    context.say("goes on from " + found->str() + ", adapter " + found->adapter_digest);
    return found->adapter_blob;
  }
  if (version.find_first_not_of("0123456789") == std::string::npos)
    throw Error(ErrorCode::kNotFound,
                "there is no model version " + name + " to go on from; look at the versions of " + model,
                "init_adapter");
  context.say("alias " + version + " of " + model + " is empty, so the training starts fresh");
  return {};
}

finetune::TrainRequest request_of(platform::StepContext& context, const StepServices& services) {
  const json::object& with = context.inputs();
  const json::object* snapshot = context.outputs_of("dataset.snapshot");
  finetune::TrainRequest request;
  request.base_folder = platform::base_folder(services.data, platform::require_string(with, "base", "with"));
  const std::string parent = parent_of(context, services);
  json::object what = with;
  if (!parent.empty()) what["init_adapter"] = parent;  // an alias may stand elsewhere when the step runs again
  const std::filesystem::path folder = folder_for(context.work_folder(), what);
  request.dataset = folder / "dataset.jsonl";
  const std::string task =
      snapshot == nullptr ? "classify" : platform::string_or(*snapshot, "task", "classify", "dataset");
  request.task = finetune::task_from(platform::string_or(with, "task", task, "with"));
  request.config = finetune::train_config_from_json(trainer_settings(with));
  request.labels = labels_of(with, snapshot, request.task);
  request.work_folder = folder / "training";
  request.output_folder = folder / "adapter";
  request.seed = static_cast<std::uint64_t>(platform::int_or(with, "seed", 1, "with"));
  request.threads = services.threads;
  if (const json::value* profile = snapshot == nullptr ? nullptr : platform::find(*snapshot, "profile"))
    request.profile = *profile;
  if (parent.empty()) return request;
  request.init_adapter = folder / "parent";
  if (!std::filesystem::exists(request.init_adapter)) services.blobs.get_folder(parent, request.init_adapter);
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
