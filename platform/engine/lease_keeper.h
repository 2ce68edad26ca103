// LeaseKeeper: the heartbeat of one leased step. Its thread renews the lease and writes what the step reported since
// the last beat. Made when a step begins, gone when it ends; the step's thread reports, the keeper's thread sends.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "platform/base/log.h"
#include "platform/store/run_store.h"

namespace platform {

class LeaseKeeper {
 public:
  LeaseKeeper(RunStore& store, RunId run, std::string step, std::int64_t attempt, std::int64_t fence,
              std::chrono::milliseconds lease, std::chrono::milliseconds heartbeat, Log log);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;

  void say(const std::string& line);
  void report_metric(const std::string& name, std::int64_t position, double value);
  void report_progress(json::object progress);
  /// Sends what is left, as long as the database answers. Called when the step has ended, before its commit.
  void flush();

  bool lost() const { return lost_.load(); }
  bool cancelled() const { return cancelled_.load(); }

 private:
  void beat();
  void run();

  RunStore& store_;
  const RunId run_;
  const std::string step_;
  const std::int64_t attempt_, fence_;
  const std::chrono::milliseconds lease_, heartbeat_;
  const Log log_;
  std::atomic<bool> lost_{false}, cancelled_{false};
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  bool ended_ = false;
  std::vector<std::string> lines_;
  std::map<std::pair<std::string, std::int64_t>, double> metrics_;
  json::value progress_;
  std::int64_t position_ = -1;  // the highest that was reported
  std::mutex sending_;          // one beat at a time
  std::thread thread_;          // last: starts when the rest is made
};

}  // namespace platform
