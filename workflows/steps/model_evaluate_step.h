// model.evaluate: scores an adapter on one part of a dataset beside plain baselines, and keeps every prediction.
#pragma once

#include "finetune/train/training_job.h"
#include "workflows/steps.h"

namespace workflows {

class ModelEvaluateStep final : public platform::Step {
 public:
  explicit ModelEvaluateStep(StepServices& services) : services_(services) {}
  platform::StepOutcome execute(platform::StepContext& context) override;

 private:
  StepServices& services_;
};

/// What is to be scored: blobs by digest, the base by name.
struct ScoredAdapter {
  std::string adapter;
  std::string base;
  std::string dataset;
  std::string split = "test";
  bool baselines = true;
  std::vector<std::string> choices = {};  // see finetune::EvaluateRequest
  bool choices_per_character = false;
};
struct Scores {
  finetune::EvaluationReport report;
  std::filesystem::path predictions;  // JSON lines, see gate_statistics.h
};
/// Lays the blobs out and scores in a folder below the step's work folder that is named by what is scored: a step that
/// is run again for another adapter or dataset finds nothing of the earlier one. Stops as the step is asked to.
Scores score_in(const platform::StepContext& context, const ScoredAdapter& scored, const StepServices& services);

}  // namespace workflows
