#include "platform/base/repeating_task.h"

namespace platform {

RepeatingTask::RepeatingTask(std::string name, std::chrono::milliseconds period, std::function<void()> round, Log log)
    : name_(std::move(name)), period_(period), round_(std::move(round)), log_(std::move(log)), thread_([this] {
        run();
      }) {}

RepeatingTask::~RepeatingTask() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void RepeatingTask::run() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    do_round();
    lock.lock();
    wake_.wait_for(lock, period_, [this] { return ending_; });
  }
}

void RepeatingTask::do_round() {
  try {
    round_();
    last_failure_.clear();
  } catch (const std::exception& failure) {  // the top of this thread
    if (last_failure_ != failure.what()) log_.error(name_ + " failed; trying again", {{"error", in_full(failure)}});
    last_failure_ = failure.what();
  }
}

}  // namespace platform
