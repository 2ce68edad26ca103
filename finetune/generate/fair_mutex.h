// FairMutex: threads enter in the order in which they asked, so that one that locks again and again (a stream, a token
// at a time) cannot keep the others out. For std::lock_guard; any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace finetune {

class FairMutex {
 public:
  void lock() {
    std::unique_lock<std::mutex> hold(mutex_);
    const std::uint64_t ticket = last_ticket_++;
    turn_.wait(hold, [&] { return serving_ == ticket; });
  }
  void unlock() {
    {
      const std::lock_guard<std::mutex> hold(mutex_);
      ++serving_;
    }
    turn_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable turn_;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t serving_ = 0;
};

}  // namespace finetune
