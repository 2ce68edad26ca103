// Child processes: started with arguments (never through a shell), waited for with a deadline, and not left behind:
// the child gets its stop signal when its parent dies, and the destructor stops it. A Ctrl-C at the terminal reaches
// the parent only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace platform {

struct ProcessOptions {
  std::map<std::string, std::string> environment;  // added to the parent's
  std::optional<std::filesystem::path> working_folder;
  std::optional<std::filesystem::path> log_file;  // mode 0600; stdout and stderr are appended to it; else inherited
  std::optional<uid_t> user;                      // drop to this user and group before exec (needs root)
  std::optional<gid_t> group;
  int stop_signal = 15;                         // what stop() and the destructor send first
  std::chrono::milliseconds stop_grace{10000};  // then SIGKILL
  bool die_with_parent = true;
};

/// Move-only. One thread at a time.
class Process {
 public:
  /// Throws kUnavailable naming the program when it cannot be started (also when exec fails in the child).
  Process(const std::vector<std::string>& arguments, ProcessOptions options = {});
  Process(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }
  /// Exit code, 128 + signal if it was killed, or nullopt while it runs.
  std::optional<int> poll();
  /// Waits at most `limit`; nullopt if it still runs.
  std::optional<int> wait_for(std::chrono::milliseconds limit);
  int wait();
  /// stop_signal, then SIGKILL after the grace time; returns the exit code.
  int stop();
  void signal(int number);

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
  ProcessOptions options_;
};

/// Runs to the end and returns (exit code, stdout+stderr, at most 1 MiB).
struct CommandOutput {
  int exit_code = 0;
  std::string text;
};
CommandOutput run_command(const std::vector<std::string>& arguments, ProcessOptions options = {});

}  // namespace platform
