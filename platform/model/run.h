// Run, step, attempt: one execution of a workflow and the units of work in it. Plain values; the rules between the
// states stand in platform/engine/transitions.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/id.h"
#include "platform/base/json.h"

namespace platform {

enum class RunState { kRunning, kCancelling, kSucceeded, kFailed, kCancelled };

enum class StepState {
  kPending,          // waits for the steps that it needs
  kReady,            // any worker may lease it, once `not_before` has passed
  kRunning,          // leased
  kWaitingApproval,  // a person decides
  kSucceeded,
  kSkipped,  // its condition was false, or a step that it needs did not succeed
  kFailed,
  kCancelled,
};

inline constexpr std::string_view kRunStateNames[] = {"running", "cancelling", "succeeded", "failed", "cancelled"};
inline constexpr std::string_view kStepStateNames[] = {"pending",   "ready",   "running", "waiting_approval",
                                                       "succeeded", "skipped", "failed",  "cancelled"};
constexpr std::string_view to_string(RunState state) { return kRunStateNames[static_cast<std::size_t>(state)]; }
constexpr std::string_view to_string(StepState state) { return kStepStateNames[static_cast<std::size_t>(state)]; }
/// Throw kInvalidInput for an unknown name.
inline RunState run_state_from(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kRunStateNames); ++i)
    if (kRunStateNames[i] == name) return static_cast<RunState>(i);
  throw Error(ErrorCode::kInvalidInput, "unknown run state: " + std::string(name));
}
inline StepState step_state_from(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kStepStateNames); ++i)
    if (kStepStateNames[i] == name) return static_cast<StepState>(i);
  throw Error(ErrorCode::kInvalidInput, "unknown step state: " + std::string(name));
}
/// True if nothing more happens to it without a person's request.
constexpr bool is_final(RunState state) {
  return state == RunState::kSucceeded || state == RunState::kFailed || state == RunState::kCancelled;
}
constexpr bool is_final(StepState state) {
  return state == StepState::kSucceeded || state == StepState::kSkipped || state == StepState::kFailed ||
         state == StepState::kCancelled;
}

/// What a workflow says of a step, as a run keeps it.
struct StepDefinition {
  std::string name;
  std::string kind;   // "finetune.lora"
  json::object with;  // options; texts may hold ${{ expressions }}
  std::vector<std::string> needs;
  std::string condition;            // the `if` text; empty = always
  std::int64_t attempts = 1;        // tries in all
  std::chrono::seconds backoff{5};  // before the second try; doubles, at most ten minutes
  std::chrono::seconds timeout{0};  // 0 = none
};

struct RunStep {
  StepDefinition definition;
  StepState state = StepState::kPending;
  std::int64_t attempt = 0;  // tries begun; a try that a lost worker left behind goes on under the same number
  std::int64_t fence = 0;    // rises with each lease; only the holder of the newest may commit
  std::int64_t lost = 0;     // leases lost one after another while the step got no further
  std::string worker;        // of the newest lease
  bool waits = false;        // for the world outside, until it ends; ready or running by turns, as it looks again
  json::object outputs;
  json::value progress;  // what the step last said of itself; null = nothing
  std::string error;
  std::optional<Time> started_at, finished_at;
  std::chrono::milliseconds tried_for{0};  // since this attempt was first leased, as of reading
  // Written, not read back. The database's clock counts, not the worker's.
  bool anew = false;                                   // it begins again: start time, progress and position are cleared
  std::optional<std::chrono::milliseconds> lease_for;  // the lease ends that long from now
  std::optional<std::chrono::milliseconds> wait_for;   // no lease before that long from now
};

/// True if the step waits for a person or for the world outside.
inline bool is_waiting(const RunStep& step) {
  return step.state == StepState::kWaitingApproval ||
         (step.waits && (step.state == StepState::kReady || step.state == StepState::kRunning));
}

struct Run {
  RunId id;
  std::string project = "default";
  std::string workflow;
  std::string workflow_hash;  // of the text that it was started from
  json::object inputs;        // resolved
  RunState state = RunState::kRunning;
  std::string error;
  std::string started_by;
  Time created_at{};
  std::optional<Time> finished_at;
  std::vector<RunStep> steps;  // in file order

  /// nullptr if there is no such step.
  const RunStep* step(std::string_view name) const {
    for (const RunStep& each : steps)
      if (each.definition.name == name) return &each;
    return nullptr;
  }
};

/// One line of the journal. `id` rises within a run in the order of what happened.
struct RunEvent {
  std::int64_t id = 0;
  RunId run;
  std::string step;  // empty: about the run itself
  std::string what;  // "started", "leased", "succeeded", ...
  json::object data;
  Time at{};
};

struct RunMetric {
  std::string step;
  std::string name;
  std::int64_t position = 0;  // optimizer step, epoch, ...
  double value = 0;
};

struct StepLogLine {
  std::int64_t id = 0;
  std::string step;
  std::int64_t attempt = 0;
  std::string line;
  Time at{};
};

}  // namespace platform
