#include "workflows/steps/approval_step.h"

namespace workflows {

platform::StepOutcome ApprovalStep::execute(platform::StepContext& context) {
  platform::StepOutcome outcome;
  outcome.kind = platform::StepOutcome::Kind::kAsksApproval;
  for (const char* key : {"role", "not_by", "comment"}) {
    if (const platform::json::value* value = context.inputs().if_contains(key)) outcome.outputs[key] = *value;
  }
  context.say("waits for a decision");
  return outcome;
}

}  // namespace workflows
