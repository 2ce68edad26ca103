// approval: asks and leaves; the run waits without a worker until a person decides (platform/engine/run_control.h).
#pragma once

#include "workflows/steps.h"

namespace workflows {

class ApprovalStep final : public platform::Step {
 public:
  explicit ApprovalStep(StepServices&) {}
  platform::StepOutcome execute(platform::StepContext& context) override;
};

}  // namespace workflows
