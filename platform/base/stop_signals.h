// SIGTERM, Ctrl-C and a lost terminal (SIGHUP) as something to wait for. Make it before any thread starts: threads inherit the mask, and one that
// lacks it would take the signal and end the process there and then. Child processes start without the mask. There is
// no handler, and there must be none where matrices are multiplied: oneDNN's kernels move the stack pointer into a
// buffer on the heap, and a handler that comes just then writes its frame over whatever lies before that buffer.
#pragma once

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

namespace platform {

class StopSignals {
 public:
  /// Blocks the signals in the calling thread and all that it starts from now on.
  StopSignals();
  /// Restores what was before.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Returns once a signal has come. One thread at a time, this one or the one of a SecondSignal.
  void wait() const;
  /// True if one comes within `limit`.
  bool comes_within(std::chrono::milliseconds limit) const;

 private:
  sigset_t set_{}, before_{};
};

/// While it stands, one more signal ends the process at once: calls `before_end` on a thread of its own, then exits
/// with code 0 without running destructors. Child processes notice and end by themselves (platform/base/process.h).
class SecondSignal {
 public:
  SecondSignal(const StopSignals& signals, std::function<void()> before_end);

 private:
  std::jthread thread_;
};

}  // namespace platform
