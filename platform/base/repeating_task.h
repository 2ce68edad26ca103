// A piece of housekeeping that is done again and again on a thread of its own: keeping a child process alive, moving
// rollouts on. What it throws is logged, once per new message, and it goes on. The destructor waits for the round under
// way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "platform/base/log.h"

namespace platform {

class RepeatingTask {
 public:
  /// Does `round` at once and then every `period`, measured from the end of a round. `name` stands in the log.
  RepeatingTask(std::string name, std::chrono::milliseconds period, std::function<void()> round, Log log);
  ~RepeatingTask();
  RepeatingTask(const RepeatingTask&) = delete;
  RepeatingTask& operator=(const RepeatingTask&) = delete;

 private:
  void run();
  void do_round();

  std::string name_;
  std::chrono::milliseconds period_;
  std::function<void()> round_;
  Log log_;
  std::string last_failure_;  // of the thread only
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace platform
