// model.register: makes an immutable version of what the run trained, with its evaluation, gate report and lineage, and
// moves the alias `candidate` to it. Running again gives the same version.
#pragma once

#include "workflows/steps.h"

namespace workflows {

class ModelRegisterStep final : public platform::Step {
 public:
  explicit ModelRegisterStep(StepServices& services) : services_(services) {}
  platform::StepOutcome execute(platform::StepContext& context) override;

 private:
  StepServices& services_;
};

}  // namespace workflows
