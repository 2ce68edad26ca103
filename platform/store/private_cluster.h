// A PostgreSQL server of our own inside the data folder, for installations without a database: it listens on a Unix
// socket only, belongs to user `postgres` when we run as root, and stops with the process that started it. Several
// processes of one installation share it: whoever comes second connects to the one that runs. One thread at a time.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "platform/base/data_folder.h"
#include "platform/base/log.h"
#include "platform/base/process.h"

namespace platform {

struct PrivateClusterOptions {
  bool durable = true;                   // false turns fsync off: for tests that do not cut power
  std::chrono::seconds start_limit{60};  // crash recovery included
};

/// How to reach the private database of this data folder, for a process that does not start it itself.
std::string private_connection_string(const DataFolder& data);

class PrivateCluster {
 public:
  /// Makes the cluster if there is none and starts it if it does not run, and waits until it answers.
  /// Throws kUnavailable with the last lines of the server's log, kNotFound if PostgreSQL is not installed,
  /// kInvalidInput with the command to run if user `postgres` cannot pass through a folder above the data folder, and
  /// kConflict if somebody else's folder stands where the socket would lie.
  PrivateCluster(const DataFolder& data, Log log, PrivateClusterOptions options = {});
  /// Stops the server if this object started it (fast shutdown: open transactions are rolled back).
  ~PrivateCluster();

  /// For Database; names the database `anneal`.
  std::string connection_string() const;
  /// True if the server is gone; start() brings it back, also after a kill -9 of the postmaster.
  bool is_gone();
  void start();
  void stop();
  /// The postmaster's pid, ours or another process's; nullopt if none runs.
  std::optional<int> postmaster() const;

 private:
  void initialise();
  void launch();
  bool answers() const;
  void wait_until_ready();
  void make_database();
  ProcessOptions process_options() const;

  std::filesystem::path cluster_;
  std::filesystem::path socket_folder_;
  std::filesystem::path log_file_;
  std::filesystem::path programs_;
  Log log_;
  PrivateClusterOptions options_;
  std::optional<Process> server_;
};

}  // namespace platform
