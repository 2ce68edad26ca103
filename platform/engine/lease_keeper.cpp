#include "platform/engine/lease_keeper.h"

#include <cmath>

#include "platform/base/error.h"
#include "platform/base/shortened.h"
#include "platform/engine/reported.h"

namespace platform {

constexpr std::size_t kLongestLine = 8192;

LeaseKeeper::LeaseKeeper(RunStore& store, RunId run, std::string step, std::int64_t attempt, std::int64_t fence,
                         std::chrono::milliseconds lease, std::chrono::milliseconds heartbeat, Log log)
    : store_(store),
      run_(std::move(run)),
      step_(std::move(step)),
      attempt_(attempt),
      fence_(fence),
      lease_(lease),
      heartbeat_(heartbeat),
      log_(std::move(log)),
      thread_([this] { this->run(); }) {}

LeaseKeeper::~LeaseKeeper() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void LeaseKeeper::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(shortened(line, kLongestLine));
}

void LeaseKeeper::report_metric(const std::string& name, std::int64_t position, double value) {
  if (!std::isfinite(value)) return;  // a curve has no place for it, and JSON no word
  const std::lock_guard lock(mutex_);
  metrics_[{name, position}] = value;
  position_ = std::max(position_, position);
}

void LeaseKeeper::report_progress(json::object progress) {
  const std::lock_guard lock(mutex_);
  progress_ = reported(std::move(progress));
}

void LeaseKeeper::flush() { beat(); }

// Takes what was reported, sends it, and puts it back if the database is away.
void LeaseKeeper::beat() {
  const std::lock_guard one_at_a_time(sending_);
  std::unique_lock lock(mutex_);
  std::vector<std::string> lines = std::exchange(lines_, {});
  auto metrics = std::exchange(metrics_, {});
  const json::value progress = progress_;
  const std::int64_t position = position_;
  lock.unlock();
  try {
    const auto state = store_.heartbeat(run_, step_, fence_, lease_, progress, position);
    if (!state) lost_.store(true);
    if (!state) return;
    if (*state == RunState::kCancelling) cancelled_.store(true);
    std::vector<RunMetric> points;
    for (const auto& [key, value] : metrics) points.push_back({step_, key.first, key.second, value});
    if (!points.empty()) store_.add_metrics(run_, points);
    metrics.clear();
    if (!lines.empty()) store_.add_log(run_, step_, attempt_, lines);
  } catch (const Error& error) {
    if (!retryable(error.code())) {
      log_.error("what the step reported cannot be stored and is dropped", {{"reason", in_full(error)}});
      return;
    }
    // The database is away: the step goes on, and whether its result counts is decided by the fencing number at commit.
    lock.lock();
    lines_.insert(lines_.begin(), lines.begin(), lines.end());
    metrics_.merge(metrics);
  }
}

void LeaseKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, heartbeat_, [this] { return ended_; })) {
    lock.unlock();
    beat();
    lock.lock();
  }
}

}  // namespace platform
