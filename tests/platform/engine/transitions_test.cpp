#include "platform/engine/transitions.h"

#include <gtest/gtest.h>

#include <set>

namespace platform {
namespace {

constexpr int kRunStates = 5;
constexpr int kRunHappenings = 5;
constexpr int kStepStates = 8;
constexpr int kStepHappenings = 14;

TEST(Transitions, EveryRowOfTheRunTableIsWhatNextStateAnswers) {
  for (const RunTransition& row : run_transitions()) {
    EXPECT_EQ(next_state(row.from, row.happening), row.to) << to_string(row.from) << " + " << to_string(row.happening);
    EXPECT_EQ(require_next(row.from, row.happening), row.to);
  }
}

TEST(Transitions, EveryRowOfTheStepTableIsWhatNextStateAnswers) {
  for (const StepTransition& row : step_transitions()) {
    EXPECT_EQ(next_state(row.from, row.happening), row.to) << to_string(row.from) << " + " << to_string(row.happening);
    EXPECT_EQ(require_next(row.from, row.happening), row.to);
  }
}

TEST(Transitions, WhatIsNotInATableIsRefusedWithStateAndEvent) {
  std::set<std::pair<int, int>> runs, steps;
  for (const RunTransition& row : run_transitions())
    EXPECT_TRUE(runs.insert({static_cast<int>(row.from), static_cast<int>(row.happening)}).second);
  for (const StepTransition& row : step_transitions())
    EXPECT_TRUE(steps.insert({static_cast<int>(row.from), static_cast<int>(row.happening)}).second);
  for (int state = 0; state < kRunStates; ++state) {
    for (int event = 0; event < kRunHappenings; ++event) {
      if (runs.count({state, event}) != 0) continue;
      EXPECT_FALSE(next_state(static_cast<RunState>(state), static_cast<RunHappening>(event)));
      EXPECT_THROW(require_next(static_cast<RunState>(state), static_cast<RunHappening>(event)), Error);
    }
  }
  for (int state = 0; state < kStepStates; ++state) {
    for (int event = 0; event < kStepHappenings; ++event) {
      if (steps.count({state, event}) != 0) continue;
      EXPECT_FALSE(next_state(static_cast<StepState>(state), static_cast<StepHappening>(event)));
      EXPECT_THROW(require_next(static_cast<StepState>(state), static_cast<StepHappening>(event)), Error);
    }
  }
}

TEST(Transitions, AFinalStepLeavesItsStateOnlyByRetry) {
  for (const StepTransition& row : step_transitions()) {
    EXPECT_TRUE(!is_final(row.from) || row.happening == StepHappening::kRetryRequested);
  }
  for (const RunTransition& row : run_transitions()) {
    EXPECT_TRUE(!is_final(row.from) || row.happening == RunHappening::kRetryRequested);
  }
}

TEST(Transitions, EveryStepStateCanBeReachedAndLeft) {
  std::set<StepState> reached{StepState::kPending}, left;
  for (const StepTransition& row : step_transitions()) {
    reached.insert(row.to);
    left.insert(row.from);
  }
  EXPECT_EQ(reached.size(), static_cast<std::size_t>(kStepStates));
  EXPECT_EQ(left.size(), static_cast<std::size_t>(kStepStates));
}

TEST(Transitions, NamesReadBackAsTheStatesTheyStandFor) {
  for (int state = 0; state < kRunStates; ++state)
    EXPECT_EQ(run_state_from(to_string(static_cast<RunState>(state))), static_cast<RunState>(state));
  for (int state = 0; state < kStepStates; ++state)
    EXPECT_EQ(step_state_from(to_string(static_cast<StepState>(state))), static_cast<StepState>(state));
  EXPECT_THROW(run_state_from("done"), Error);
  EXPECT_THROW(step_state_from("done"), Error);
}

}  // namespace
}  // namespace platform
