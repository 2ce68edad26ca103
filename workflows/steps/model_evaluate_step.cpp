#include "workflows/steps/model_evaluate_step.h"

#include <cstdio>

namespace workflows {

namespace json = platform::json;

Scores score_in(const platform::StepContext& context, const ScoredAdapter& scored, const StepServices& services) {
  const json::object what{
      {"adapter", scored.adapter}, {"base", scored.base}, {"dataset", scored.dataset}, {"split", scored.split}};
  const std::filesystem::path folder = folder_for(context.work_folder(), what);
  finetune::EvaluateRequest request;
  request.base_folder = platform::base_folder(services.data, scored.base);
  request.adapter_folder = folder / "adapter";
  request.dataset = folder / "dataset.jsonl";
  request.split = scored.split;
  request.predictions_file = folder / "predictions.jsonl";
  request.baselines = scored.baselines;
  request.choices = scored.choices;
  request.choices_per_character = scored.choices_per_character;
  request.threads = services.threads;
  request.should_stop = [&context] { return context.should_stop(); };
  if (!std::filesystem::exists(request.adapter_folder))
    services.blobs.get_folder(scored.adapter, request.adapter_folder);
  services.blobs.copy_to(scored.dataset, request.dataset);
  return {finetune::evaluate_adapter(request), request.predictions_file};
}

platform::StepOutcome ModelEvaluateStep::execute(platform::StepContext& context) {
  const json::object& with = context.inputs();
  const json::object* training = context.outputs_of("finetune.lora");
  ScoredAdapter scored;
  scored.adapter = platform::require_string(with, "adapter", "with");
  scored.dataset = platform::require_string(with, "dataset", "with");
  scored.base = platform::string_or(
      with, "base", training == nullptr ? "" : platform::string_or(*training, "base", "", "training"), "with");
  scored.split = platform::string_or(with, "split", "test", "with");
  if (const json::value* choices = platform::find(with, "choices"))
    scored.choices = choices->is_string() ? std::vector<std::string>{std::string(choices->get_string())}
                                          : platform::strings_from(*choices, "choices");
  scored.choices_per_character = platform::bool_or(with, "choices_per_character", false, "with");
  const auto [report, predictions] = score_in(context, scored, services_);
  for (const finetune::Score& score : report.scores) {
    char line[160];
    std::snprintf(line, sizeof line, "%s %.4f (%.4f to %.4f)", score.metric.c_str(), score.value, score.low,
                  score.high);
    context.say(line);
  }
  platform::StepOutcome outcome;
  outcome.outputs = {{"adapter", scored.adapter},
                     {"base", scored.base},
                     {"dataset", scored.dataset},
                     {"split", scored.split},
                     {"examples", report.examples},
                     {"predictions", services_.blobs.put_file(predictions)},
                     {"evaluation", finetune::to_json(report)}};
  return outcome;
}

}  // namespace workflows
