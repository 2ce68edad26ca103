#include "platform/base/stop_signals.h"

#include <pthread.h>

#include <cstdlib>

namespace platform {

namespace {
constexpr std::chrono::milliseconds kLook{100};  // how long the end of a SecondSignal may take
}

StopSignals::StopSignals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGTERM);
  sigaddset(&set_, SIGINT);
  sigaddset(&set_, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set_, &before_);
}

StopSignals::~StopSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

void StopSignals::wait() const {
  int number = 0;
  sigwait(&set_, &number);
}

bool StopSignals::comes_within(std::chrono::milliseconds limit) const {
  const timespec time{limit.count() / 1000, limit.count() % 1000 * 1'000'000};
  return sigtimedwait(&set_, nullptr, &time) > 0;
}

SecondSignal::SecondSignal(const StopSignals& signals, std::function<void()> before_end)
    : thread_([&signals, before_end = std::move(before_end)](const std::stop_token& done) {
        while (!done.stop_requested()) {
          if (!signals.comes_within(kLook)) continue;
          before_end();
          std::_Exit(0);
        }
      }) {}

}  // namespace platform
