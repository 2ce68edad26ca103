// What may happen to a run and to a step: two tables (state, event -> state) and nothing else. Pure; any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "platform/model/run.h"

namespace platform {

enum class RunHappening { kCancelRequested, kAllDone, kSomeFailed, kSomeCancelled, kRetryRequested };
enum class StepHappening {
  kNeedsMet,
  kNotNeeded,
  kLeased,
  kHandedBack,
  kLeaseExpired,
  kSucceeded,
  kTryFailed,
  kFailed,
  kAsksApproval,
  kApproved,
  kRejected,
  kCancelled,
  kRetryRequested,
  kWaits,
};

/// Names as the journal writes them: "leased", "cancel_requested", ...
std::string_view to_string(RunHappening happening);
std::string_view to_string(StepHappening happening);

struct RunTransition {
  RunState from;
  RunHappening happening;
  RunState to;
};
struct StepTransition {
  StepState from;
  StepHappening happening;
  StepState to;
};
std::span<const RunTransition> run_transitions();
std::span<const StepTransition> step_transitions();

/// nullopt if the table has no such row: it cannot happen in this state.
std::optional<RunState> next_state(RunState from, RunHappening happening);
std::optional<StepState> next_state(StepState from, StepHappening happening);
/// As next_state, but throws kConflict naming state and event.
RunState require_next(RunState from, RunHappening happening);
StepState require_next(StepState from, StepHappening happening);

}  // namespace platform
