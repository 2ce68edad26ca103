#include "platform/engine/step.h"

#include <set>

namespace platform {

// Breadth first over `needs`, so that of two steps of one kind the nearer one is meant.
const json::object* StepContext::outputs_of(std::string_view kind) const {
  std::vector<std::string> open = step().definition.needs;
  std::set<std::string> seen;
  for (std::size_t at = 0; at < open.size(); ++at) {
    const std::string name = open[at];  // by value: `open` grows below
    const RunStep* needed = run().step(name);
    if (needed == nullptr || !seen.insert(name).second) continue;
    if (needed->definition.kind == kind && needed->state == StepState::kSucceeded) return &needed->outputs;
    open.insert(open.end(), needed->definition.needs.begin(), needed->definition.needs.end());
  }
  return nullptr;
}

}  // namespace platform
