// Keeps one worker process alive beside the server: a crash in training never takes the server down, and the next
// worker goes on from the last checkpoint. A worker that dies is started again, at most once a second. The destructor
// asks it to save and waits for it. Thread-safe.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/log.h"
#include "platform/base/process.h"
#include "platform/base/repeating_task.h"

namespace web {

struct WorkerKeeperOptions {
  std::vector<std::string> command;  // program and arguments
  std::string database;              // given to it as $ANNEAL_DATABASE, not as an argument: it may hold a password
  std::filesystem::path log_file;    // the worker's structured log is appended to it
  std::chrono::milliseconds stop_grace{30'000};  // what saving a checkpoint may take
};

class WorkerKeeper {
 public:
  WorkerKeeper(WorkerKeeperOptions options, platform::Log log);

 private:
  void look();

  WorkerKeeperOptions options_;
  platform::Log log_;
  std::optional<platform::Process>
      worker_;  // made and watched by the keeper's thread: the child dies with the thread that made it
  platform::RepeatingTask keeper_;  // last: it uses all of the above
};

}  // namespace web
