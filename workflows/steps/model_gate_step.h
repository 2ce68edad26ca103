// model.gate: judges an evaluation against limits, baselines and the models behind aliases, and stops the run with the
// numbers where it is not good enough. An alias that stands at the very adapter that is judged is no rival: a run that
// is repeated does not fail on its own success. Its report is what the registry asks for before `production` moves.
#pragma once

#include "finetune/train/training_job.h"
#include "workflows/gate_statistics.h"
#include "workflows/steps.h"

namespace workflows {

class ModelGateStep final : public platform::Step {
 public:
  explicit ModelGateStep(StepServices& services) : services_(services) {}
  platform::StepOutcome execute(platform::StepContext& context) override;

 private:
  StepServices& services_;
};

}  // namespace workflows
