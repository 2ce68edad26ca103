#include "platform/base/repeating_task.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>

namespace {

using platform::Log;
using platform::RepeatingTask;

TEST(RepeatingTask, GoesOnAfterARoundThatThrew) {
  std::promise<void> third;
  int rounds = 0;  // of the task's thread only
  {
    RepeatingTask task(
        "counting", std::chrono::milliseconds(1),
        [&] {
          if (++rounds == 3) third.set_value();
          throw std::runtime_error("always");
        },
        Log::silent());
    ASSERT_EQ(third.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }
  EXPECT_GE(rounds, 3);
}

TEST(RepeatingTask, EndsAtOnceHoweverLongItsPeriodIs) {
  std::promise<void> done;
  const auto start = std::chrono::steady_clock::now();
  {
    RepeatingTask task(
        "waiting", std::chrono::hours(1), [&] { done.set_value(); }, Log::silent());
    ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

}  // namespace
