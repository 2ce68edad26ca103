#include <sys/wait.h>
#include <unistd.h>

#include "tests/deploy/support/update_machine.h"

namespace {

using deploy::AgentState;
using tests::Machine;

// Cuts the power at each state, right after it was saved and right after its work, in a child process that ends without
// unwinding; the parent then starts the program on what is left on disk.
void cut_power_everywhere(std::int64_t previous) {
  for (const AgentState state :
       {AgentState::kDownloading, AgentState::kVerifying, AgentState::kStaging, AgentState::kActivating,
        AgentState::kProbation, AgentState::kCommitted, AgentState::kIdle}) {
    for (const std::string phase : {"saved", "done"}) {
      if (state == AgentState::kIdle && phase == "done") continue;
      Machine machine;
      if (previous != 0) machine.install(previous);
      const auto offer = machine.offer(previous + 1);
      const pid_t child = ::fork();
      if (child == 0) {
        const auto program = machine.start([&, updating = false](AgentState at, std::string_view when) mutable {
          updating = updating || at != AgentState::kIdle;
          if (updating && at == state && when == phase) ::_exit(42);
        });
        program->updater.offer(offer);
        machine.finish(*program);
        ::_exit(0);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      const std::string where = std::string(to_string(state)) + " " + phase;
      ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 42) << where;

      const auto program = machine.start();
      EXPECT_TRUE(previous == 0 || program->current() == previous || program->current() == previous + 1) << where;
      machine.finish(*program);
      const bool touched = previous != 0 && (state == AgentState::kActivating || state == AgentState::kProbation);
      const std::int64_t expected = touched ? previous : previous + 1;
      EXPECT_EQ(program->current(), expected) << where;
      EXPECT_EQ(machine.world.answering(), expected) << where;
      if (touched) {
        EXPECT_EQ(machine.world.reports.back().code, "interrupted") << where;
      }

      if (!touched) continue;  // offered once more, it goes through
      ASSERT_TRUE(program->updater.offer(machine.offer(previous + 1))) << where;
      machine.finish(*program);
      EXPECT_EQ(program->current(), previous + 1) << where;
    }
  }
}

TEST(UpdaterPowerCut, EndsInThePreviousOrTheNewVersionFromEveryState) { cut_power_everywhere(4); }
TEST(UpdaterPowerCut, EndsInTheFirstVersionWhereThereWasNone) { cut_power_everywhere(0); }

TEST(UpdaterPowerCut, EndsInThePreviousVersionWhileRollingBack) {
  for (const std::string phase : {"saved", "done"}) {
    Machine machine;
    machine.install(4);
    const auto offer = machine.offer(5);
    const pid_t child = ::fork();
    if (child == 0) {
      machine.world.check_fails = true;
      const auto program = machine.start([&](AgentState at, std::string_view when) {
        if (at == AgentState::kRollingBack && when == phase) ::_exit(42);
      });
      program->updater.offer(offer);
      machine.finish(*program);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(WEXITSTATUS(status), 42);
    const auto program = machine.start();
    machine.finish(*program);
    EXPECT_EQ(program->current(), 4);
    EXPECT_EQ(machine.world.answering(), 4);
  }
}

}  // namespace
