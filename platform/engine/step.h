// Step: one kind of work that a workflow can name. A worker makes it, runs it on its own thread and commits what it
// returns. A step must be safe to run twice with the same idempotency key: after a crash the next worker runs it again
// in the same work folder. Step and context belong to one thread; only the worker's heartbeat touches the context
// besides.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "platform/base/json.h"
#include "platform/base/log.h"
#include "platform/model/run.h"

namespace platform {

struct StepOutcome {
  enum class Kind {
    kSucceeded,
    kFailed,        // `error` says why; another try would not help
    kAsksApproval,  // a person decides; `outputs` are kept for the step's success
    kWaits,         // for the world outside: the same try goes on after `wait`, and no worker is held meanwhile
  };
  Kind kind = Kind::kSucceeded;
  json::object outputs;
  std::string error;
  std::chrono::milliseconds wait{0};  // kWaits
};

/// What a running step sees of the world. Implemented by the worker, and by tests.
class StepContext {
 public:
  virtual ~StepContext() = default;

  virtual const Run& run() const = 0;              // as it stood at the lease, with all outputs of earlier steps
  virtual const RunStep& step() const = 0;         // this one
  virtual const json::object& inputs() const = 0;  // `with`, every expression resolved
  /// Exists; the same for every attempt of this step in this run.
  virtual const std::filesystem::path& work_folder() const = 0;
  virtual const Log& log() const = 0;

  /// A line for the step's log that users read.
  virtual void say(const std::string& line) = 0;
  /// A point of a curve; sent with the next heartbeat, so that a killed worker loses at most that much of it. The same
  /// name and position again replaces the value.
  virtual void report_metric(const std::string& name, std::int64_t position, double value) = 0;
  virtual void report_progress(json::object progress) = 0;
  /// True after a cancel request, a lost lease, the step's timeout (from the first lease of this attempt) or when the
  /// worker is asked to end: save what is worth saving and throw kCancelled.
  virtual bool should_stop() const = 0;
  /// Whether the worker takes kWaits. Where it does not, a step that waits keeps its worker and looks itself.
  virtual bool may_wait() const { return false; }

  /// "run/step": equal for every attempt, different for everything else.
  std::string idempotency_key() const { return run().id.str() + "/" + step().definition.name; }
  /// Outputs of the nearest step of this kind among those that this one needs, directly or not; nullptr if there is
  /// none.
  const json::object* outputs_of(std::string_view kind) const;
};

class Step {
 public:
  virtual ~Step() = default;
  /// Throws Error: kCancelled when it stopped because it was asked to; codes that may pass (kUnavailable, kDiskFull)
  /// and kInternal are tried again as the workflow's `retry` says, all others fail the step at once.
  virtual StepOutcome execute(StepContext& context) = 0;
};

/// Makes the step of a kind. Throws kInvalidInput for an unknown one.
using StepFactory = std::function<std::unique_ptr<Step>(const std::string& kind)>;

}  // namespace platform
