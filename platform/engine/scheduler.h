// The scheduler decides, it does nothing: from a run as it stands it says which steps become ready, which are skipped
// and whether the run is over. The caller writes the changes in one transaction. Pure; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "platform/engine/transitions.h"
#include "platform/model/run.h"

namespace platform {

/// One step's change, with the journal line that belongs to it.
struct StepChange {
  std::string step;
  StepHappening happening;
  StepState to;
  json::object data = {};
};

struct Decision {
  std::vector<StepChange> steps;
  std::optional<RunHappening> run;
  std::string run_error;  // of the first failed step, where the run fails
};

/// Applies `change` to the copy of the run that the caller holds. Throws kConflict if the table has no such row.
StepChange change_step(Run& run, const std::string& step, StepHappening happening, json::object data = {});
/// Everything that follows from the present states, applied to `run` and listed. A second call decides nothing. A step
/// whose condition has no value fails with the reason.
Decision advance(Run& run);
/// Cancels what has not begun or waits; running steps are asked to stop by their worker's heartbeat.
Decision cancel(Run& run);
/// Puts `step` and every step that needs it (also indirectly) back to pending, and sets failed or cancelled steps that
/// it needs back as well. Throws kNotFound, or kConflict while the run goes on.
Decision retry_from(Run& run, const std::string& step);

/// Whether a failed try is worth another one: the error may pass and tries are left.
bool try_again(const RunStep& step, bool permanent);
/// backoff * 2^(attempt - 1), at most ten minutes.
std::chrono::seconds wait_before_next_try(const RunStep& step);

}  // namespace platform
