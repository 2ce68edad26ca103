#include "platform/engine/scheduler.h"

#include <gtest/gtest.h>

namespace platform {
namespace {

RunStep step(std::string name, std::vector<std::string> needs = {}, std::string condition = {}) {
  RunStep made;
  made.definition.name = std::move(name);
  made.definition.kind = "test";
  made.definition.needs = std::move(needs);
  made.definition.condition = std::move(condition);
  return made;
}

Run chain() {
  platform::Run run;
  run.id = RunId::make();
  run.steps = {step("a"), step("b", {"a"}), step("c", {"b"})};
  return run;
}

void go(Run& run, const std::string& name, StepHappening end) {
  change_step(run, name, StepHappening::kLeased);
  change_step(run, name, end);
}

StepState state_of(const Run& run, const std::string& name) { return run.step(name)->state; }

TEST(Scheduler, AStepIsReadyOnceAllThatItNeedsSucceeded) {
  platform::Run run = chain();
  run.steps.push_back(step("d", {"a", "b"}));
  ASSERT_EQ(advance(run).steps.size(), 1u);
  EXPECT_EQ(state_of(run, "a"), StepState::kReady);
  go(run, "a", StepHappening::kSucceeded);
  advance(run);
  EXPECT_EQ(state_of(run, "b"), StepState::kReady);
  EXPECT_EQ(state_of(run, "d"), StepState::kPending);
  EXPECT_TRUE(advance(run).steps.empty()) << "a second call decides nothing";
}

TEST(Scheduler, ARunOfSucceededStepsSucceeds) {
  platform::Run run = chain();
  for (const char* name : {"a", "b", "c"}) {
    advance(run);
    go(run, name, StepHappening::kSucceeded);
  }
  EXPECT_EQ(advance(run).run, RunHappening::kAllDone);
  EXPECT_EQ(run.state, RunState::kSucceeded);
}

TEST(Scheduler, AFailedStepSkipsWhatNeedsItAndFailsTheRunWithItsError) {
  platform::Run run = chain();
  run.steps.push_back(step("other"));
  advance(run);
  go(run, "a", StepHappening::kFailed);
  run.steps[0].error = "no rows";
  Decision decision = advance(run);
  EXPECT_EQ(decision.steps.size(), 2u);
  EXPECT_EQ(state_of(run, "c"), StepState::kSkipped);
  EXPECT_FALSE(decision.run) << "a step beside it still goes on";
  go(run, "other", StepHappening::kSucceeded);
  decision = advance(run);
  EXPECT_EQ(decision.run, RunHappening::kSomeFailed);
  EXPECT_EQ(decision.run_error, "step 'a': no rows");
}

TEST(Scheduler, AFalseConditionSkipsTheStepAndTheRunSucceeds) {
  platform::Run run;
  run.inputs["ship"] = false;
  run.steps = {step("a"), step("b", {"a"}, "${{ inputs.ship }}"), step("c", {"b"})};
  advance(run);
  go(run, "a", StepHappening::kSucceeded);
  EXPECT_EQ(advance(run).run, RunHappening::kAllDone);
  EXPECT_EQ(state_of(run, "b"), StepState::kSkipped);
  EXPECT_EQ(state_of(run, "c"), StepState::kSkipped);
}

TEST(Scheduler, AConditionOnAnOutputThatIsNotThereFailsItsStepAndKeepsTheResultBeforeIt) {
  platform::Run run;
  run.steps = {step("a"), step("b", {"a"}, "${{ steps.a.validation }}"), step("c", {"b"})};
  advance(run);
  go(run, "a", StepHappening::kSucceeded);
  const Decision decision = advance(run);
  EXPECT_EQ(state_of(run, "a"), StepState::kSucceeded);
  EXPECT_EQ(state_of(run, "b"), StepState::kFailed);
  EXPECT_EQ(state_of(run, "c"), StepState::kSkipped);
  EXPECT_EQ(run.state, RunState::kFailed);
  EXPECT_EQ(decision.run_error, "step 'b': its condition cannot be judged: step 'a' gave no output 'validation'");
}

TEST(Scheduler, CancelStopsWhatHasNotBegunAndWaitsForWhatRuns) {
  platform::Run run = chain();
  advance(run);
  change_step(run, "a", StepHappening::kLeased);
  EXPECT_EQ(cancel(run).steps.size(), 2u);
  EXPECT_EQ(run.state, RunState::kCancelling);
  EXPECT_FALSE(advance(run).run);
  change_step(run, "a", StepHappening::kCancelled);
  EXPECT_EQ(advance(run).run, RunHappening::kSomeCancelled);
  EXPECT_EQ(run.state, RunState::kCancelled);
  EXPECT_THROW(cancel(run), Error);
}

TEST(Scheduler, RetryFromAStepRunsItAndEverythingAfterItAgain) {
  platform::Run run = chain();
  advance(run);
  go(run, "a", StepHappening::kSucceeded);
  advance(run);
  go(run, "b", StepHappening::kFailed);
  advance(run);
  ASSERT_EQ(run.state, RunState::kFailed);
  EXPECT_EQ(retry_from(run, "b").steps.size(), 2u);
  EXPECT_EQ(state_of(run, "a"), StepState::kSucceeded);
  advance(run);
  EXPECT_EQ(state_of(run, "b"), StepState::kReady);
  EXPECT_THROW(retry_from(run, "b"), Error) << "the run goes on";
}

TEST(Scheduler, RetryFromALaterStepTakesTheFailedStepsThatItNeedsAlong) {
  platform::Run run = chain();
  advance(run);
  go(run, "a", StepHappening::kFailed);
  advance(run);
  EXPECT_EQ(retry_from(run, "c").steps.size(), 3u);
  EXPECT_THROW(retry_from(run, "d"), Error);
}

TEST(Scheduler, TriesAreCountedAndTheWaitBetweenThemDoublesUpToTenMinutes) {
  RunStep one = step("a");
  one.definition.attempts = 3;
  one.definition.backoff = std::chrono::seconds(100);
  one.attempt = 1;
  EXPECT_TRUE(try_again(one, false));
  EXPECT_FALSE(try_again(one, true));
  EXPECT_EQ(wait_before_next_try(one).count(), 100);
  one.attempt = 2;
  EXPECT_EQ(wait_before_next_try(one).count(), 200);
  one.attempt = 3;
  EXPECT_FALSE(try_again(one, false));
  one.attempt = 60;
  EXPECT_EQ(wait_before_next_try(one).count(), 600);
}

}  // namespace
}  // namespace platform
