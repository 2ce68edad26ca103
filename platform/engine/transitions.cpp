#include "platform/engine/transitions.h"

#include "platform/base/error.h"

namespace platform {
namespace {

constexpr std::string_view kRunHappenings[] = {"cancel_requested", "succeeded", "failed", "cancelled",
                                               "retry_requested"};
constexpr std::string_view kStepHappenings[] = {
    "ready",  "skipped",          "leased",   "handed_back", "lease_expired", "succeeded",       "try_failed",
    "failed", "waiting_approval", "approved", "rejected",    "cancelled",     "retry_requested", "waits"};

// clang-format off
using R = RunState;
using H = RunHappening;
constexpr RunTransition kRunTable[] = {
    {R::kRunning,    H::kCancelRequested, R::kCancelling},
    {R::kRunning,    H::kAllDone,         R::kSucceeded },
    {R::kRunning,    H::kSomeFailed,      R::kFailed    },
    {R::kRunning,    H::kSomeCancelled,   R::kCancelled },
    {R::kCancelling, H::kAllDone,         R::kSucceeded },
    {R::kCancelling, H::kSomeFailed,      R::kFailed    },
    {R::kCancelling, H::kSomeCancelled,   R::kCancelled },
    {R::kSucceeded,  H::kRetryRequested,  R::kRunning   },
    {R::kFailed,     H::kRetryRequested,  R::kRunning   },
    {R::kCancelled,  H::kRetryRequested,  R::kRunning   },
};

using S = StepState;
using E = StepHappening;
constexpr StepTransition kStepTable[] = {
    {S::kPending,         E::kNeedsMet,       S::kReady          },
    {S::kPending,         E::kNotNeeded,      S::kSkipped        },
    {S::kPending,         E::kFailed,         S::kFailed         },
    {S::kPending,         E::kCancelled,      S::kCancelled      },
    {S::kReady,           E::kLeased,         S::kRunning        },
    {S::kReady,           E::kCancelled,      S::kCancelled      },
    {S::kRunning,         E::kSucceeded,      S::kSucceeded      },
    {S::kRunning,         E::kTryFailed,      S::kReady          },
    {S::kRunning,         E::kFailed,         S::kFailed         },
    {S::kRunning,         E::kAsksApproval,   S::kWaitingApproval},
    {S::kRunning,         E::kHandedBack,     S::kReady          },
    {S::kRunning,         E::kLeaseExpired,   S::kReady          },
    {S::kRunning,         E::kWaits,          S::kReady          },
    {S::kRunning,         E::kCancelled,      S::kCancelled      },
    {S::kWaitingApproval, E::kApproved,       S::kSucceeded      },
    {S::kWaitingApproval, E::kRejected,       S::kFailed         },
    {S::kWaitingApproval, E::kCancelled,      S::kCancelled      },
    {S::kSucceeded,       E::kRetryRequested, S::kPending        },
    {S::kSkipped,         E::kRetryRequested, S::kPending        },
    {S::kFailed,          E::kRetryRequested, S::kPending        },
    {S::kCancelled,       E::kRetryRequested, S::kPending        },
};
// clang-format on

}  // namespace

std::string_view to_string(RunHappening happening) { return kRunHappenings[static_cast<std::size_t>(happening)]; }
std::string_view to_string(StepHappening happening) { return kStepHappenings[static_cast<std::size_t>(happening)]; }
std::span<const RunTransition> run_transitions() { return kRunTable; }
std::span<const StepTransition> step_transitions() { return kStepTable; }

std::optional<RunState> next_state(RunState from, RunHappening happening) {
  for (const RunTransition& row : kRunTable) {
    if (row.from == from && row.happening == happening) return row.to;
  }
  return std::nullopt;
}

std::optional<StepState> next_state(StepState from, StepHappening happening) {
  for (const StepTransition& row : kStepTable) {
    if (row.from == from && row.happening == happening) return row.to;
  }
  return std::nullopt;
}

RunState require_next(RunState from, RunHappening happening) {
  if (const auto to = next_state(from, happening)) return *to;
  throw Error(ErrorCode::kConflict, "a run that is " + std::string(to_string(from)) + " cannot become '" +
                                        std::string(to_string(happening)) + "'");
}

StepState require_next(StepState from, StepHappening happening) {
  if (const auto to = next_state(from, happening)) return *to;
  throw Error(ErrorCode::kConflict, "a step that is " + std::string(to_string(from)) + " cannot become '" +
                                        std::string(to_string(happening)) + "'");
}

}  // namespace platform
