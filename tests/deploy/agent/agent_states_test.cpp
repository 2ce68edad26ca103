#include "deploy/agent/agent_states.h"

#include <gtest/gtest.h>

#include <set>

#include "platform/base/error.h"

namespace {

using deploy::AgentEvent;
using deploy::AgentState;

constexpr AgentState kStates[] = {AgentState::kIdle,      AgentState::kDownloading, AgentState::kVerifying,
                                  AgentState::kStaging,   AgentState::kActivating,  AgentState::kProbation,
                                  AgentState::kCommitted, AgentState::kRollingBack};

TEST(AgentStates, HasEachRowOnceAndAnAnswerToARestartInEveryState) {
  std::set<std::pair<AgentState, AgentEvent>> seen;
  for (const auto& row : deploy::transitions())
    EXPECT_TRUE(seen.emplace(row.from, row.event).second) << to_string(row.from);
  for (const AgentState state : kStates) {
    EXPECT_NO_THROW(deploy::next_state(state, AgentEvent::kRestarted)) << to_string(state);
    EXPECT_NO_THROW(deploy::next_state(state, AgentEvent::kRestartedAtFirst)) << to_string(state);
  }
}

TEST(AgentStates, LeadsFromEveryStateToIdleWhetherItsWorkEndsOrFails) {
  for (const AgentState start : kStates) {
    for (const AgentEvent first :
         {AgentEvent::kDone, AgentEvent::kFailed, AgentEvent::kWithdrawn, AgentEvent::kRestarted}) {
      AgentState state = start;
      try {
        state = deploy::next_state(start, first);
      } catch (const platform::Error&) {
        continue;  // no such row
      }
      for (int moves = 0; state != AgentState::kIdle; ++moves) {
        ASSERT_LT(moves, 10) << to_string(start);
        state = deploy::next_state(state, AgentEvent::kDone);
      }
    }
  }
}

TEST(AgentStates, GoesBackAfterARestartOnceTheNewVersionWasTouched) {
  EXPECT_EQ(deploy::next_state(AgentState::kActivating, AgentEvent::kRestarted), AgentState::kRollingBack);
  EXPECT_EQ(deploy::next_state(AgentState::kProbation, AgentEvent::kRestarted), AgentState::kRollingBack);
  EXPECT_EQ(deploy::next_state(AgentState::kCommitted, AgentEvent::kRestarted), AgentState::kCommitted);
}

TEST(AgentStates, KnowsItsNames) {
  for (const AgentState state : kStates) EXPECT_EQ(deploy::agent_state_from(to_string(state)), state);
  EXPECT_THROW(deploy::agent_state_from("flying"), platform::Error);
}

}  // namespace
