#include "finetune/commands/progress_line.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <csignal>

namespace finetune {
namespace {

bool is_blocked(int number) {
  sigset_t now{};
  pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return sigismember(&now, number) == 1;
}

TEST(ProgressLine, StopsForEitherSignalAndGoesOnAskingToStop) {
  for (const int number : {SIGTERM, SIGINT}) {
    ProgressLine line;
    EXPECT_FALSE(line.should_stop());
    pthread_kill(pthread_self(), number);
    EXPECT_TRUE(line.should_stop());
    EXPECT_TRUE(line.should_stop());
  }
}

// oneDNN computes with the stack pointer on the heap: a handler would write its frame over other memory.
TEST(ProgressLine, HandlesNoSignalWhileMatricesAreMultiplied) {
  {
    const ProgressLine line;
    for (const int number : {SIGTERM, SIGINT}) {
      struct sigaction action {};
      sigaction(number, nullptr, &action);
      EXPECT_TRUE(action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN);
      EXPECT_TRUE(is_blocked(number));
    }
  }
  EXPECT_FALSE(is_blocked(SIGTERM)) << "another command ends when it is asked to";
}

}  // namespace
}  // namespace finetune
