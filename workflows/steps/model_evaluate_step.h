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
};
/// Lays the blobs out below `folder` (again only where they are not there yet), scores, and leaves predictions.jsonl
/// there.
finetune::EvaluationReport evaluate_in(const std::filesystem::path& folder, const ScoredAdapter& scored,
                                       const StepServices& services);

}  // namespace workflows
