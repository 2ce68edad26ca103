// Worker: leases one step at a time, runs it, and commits its outcome together with what follows from it. A background
// thread renews the lease and carries curves and log lines to the store. A worker whose lease went to another can
// commit nothing. While the database is away it keeps trying; the fencing number makes sure that nothing is committed
// twice.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "platform/base/data_folder.h"
#include "platform/base/log.h"
#include "platform/engine/step.h"
#include "platform/store/run_store.h"

namespace platform {

struct WorkerOptions {
  std::string name;                // empty: host and process id
  std::vector<std::string> kinds;  // step kinds that it takes
  std::chrono::milliseconds lease{10'000};
  std::chrono::milliseconds heartbeat{2'000};  // well below `lease`
  std::chrono::milliseconds idle{500};         // between two looks for work
  std::int64_t losses = 10;  // a step that lost so many workers in a row without getting further has failed
};

/// One thread runs it; request_stop() may be called from any other, also from a signal handler.
class Worker {
 public:
  Worker(RunStore& store, StepFactory make_step, DataFolder data, WorkerOptions options, Log log);

  /// Works until request_stop(). The step under way is asked to stop and handed back.
  void run();
  /// Leases and runs one step. False if there was none.
  bool run_one();
  /// Sets a flag; safe in a signal handler.
  void request_stop() noexcept { stop_.store(true); }
  bool stopping() const noexcept { return stop_.load(); }

 private:
  struct Outcome;
  class Context;
  struct Leased;
  std::optional<Leased> lease();
  Outcome execute(Context& context);
  void commit(const Context& context, Outcome outcome);
  void commit_once(const Context& context, const Outcome& outcome);

  RunStore& store_;
  StepFactory make_step_;
  DataFolder data_;
  WorkerOptions options_;
  Log log_;
  std::atomic<bool> stop_{false};
};

}  // namespace platform
