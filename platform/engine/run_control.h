// What people and programs may ask of a run: start, cancel, retry, approve, reject. Each is one transaction of journal,
// states and next steps. Thread-safe as RunStore is.
#pragma once

#include <string>

#include "platform/store/run_store.h"

namespace platform {

/// Stores `run` (id, workflow, inputs, started_by and step definitions are set) with its first steps ready.
Run start_run(RunStore& store, Run run);
/// Throws kConflict if the run is over. A run that is being cancelled already stays as it is.
Run cancel_run(RunStore& store, const RunId& id, const std::string& by);
/// See retry_from(); the work folders stay, so training goes on where it can.
Run retry_run(RunStore& store, const RunId& id, const std::string& step, const std::string& by);

struct ApprovalDecision {
  bool approve = false;
  std::string by;    // user
  std::string role;  // of that user
  std::string comment;
};
/// Decides a step that waits for approval. Throws kForbidden if the step asks for another role or for somebody other
/// than who started the run, kConflict if it does not wait. "admin" may stand in for any role.
Run decide_approval(RunStore& store, const RunId& id, const std::string& step, const ApprovalDecision& decision);

/// For callers that build their own change: applies what follows from the run's new states (advance()), adds its
/// journal lines to `events`, and gives a run that ends thereby its error.
void follow_up(Run& run, std::vector<NewEvent>& events);

}  // namespace platform
