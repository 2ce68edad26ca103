// finetune.lora: trains an adapter in the step's work folder, so that the successor of a lost worker goes on from the
// last checkpoint, and stores it as a blob folder.
#pragma once

#include "workflows/steps.h"

namespace workflows {

class FinetuneLoraStep final : public platform::Step {
 public:
  explicit FinetuneLoraStep(StepServices& services) : services_(services) {}
  platform::StepOutcome execute(platform::StepContext& context) override;

 private:
  StepServices& services_;
};

}  // namespace workflows
