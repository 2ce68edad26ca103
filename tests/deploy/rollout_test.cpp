#include "deploy/rollout.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using deploy::RolloutAction;
using platform::AgentProgress;
using Kind = RolloutAction::Kind;
constexpr auto kWaiting = AgentProgress::kWaiting;
constexpr auto kOffered = AgentProgress::kOffered;
constexpr auto kCommitted = AgentProgress::kCommitted;
constexpr auto kFailed = AgentProgress::kFailed;
constexpr auto kSuperseded = AgentProgress::kSuperseded;

struct Case {
  std::string name;
  std::vector<std::pair<std::int64_t, AgentProgress>> agents;  // wave, progress
  double threshold = 0;
  bool automatic = true;
  Kind expected = Kind::kWait;
  std::size_t offered = 0;
};

TEST(Rollout, DecidesByWhatAgentsDidAndNeverBySilence) {
  const std::vector<Case> cases{
      {"no agents", {}, 0, true, Kind::kWait, 0},
      {"first wave begins", {{0, kWaiting}, {1, kWaiting}, {1, kWaiting}}, 0, true, Kind::kOffer, 1},
      {"first wave under way", {{0, kOffered}, {1, kWaiting}}, 0, true, Kind::kWait, 0},
      {"second wave after the first committed",
       {{0, kCommitted}, {1, kWaiting}, {1, kWaiting}},
       0,
       true,
       Kind::kOffer,
       2},
      {"a silent agent holds the next wave", {{0, kCommitted}, {0, kOffered}, {1, kWaiting}}, 0, true, Kind::kWait, 0},
      {"one failure rolls back", {{0, kFailed}, {1, kWaiting}}, 0, true, Kind::kRollBack, 0},
      {"one failure pauses where a person decides", {{0, kFailed}, {1, kWaiting}}, 0, false, Kind::kPause, 0},
      {"failures within the threshold",
       {{0, kFailed}, {0, kCommitted}, {0, kCommitted}, {1, kWaiting}},
       0.4,
       true,
       Kind::kOffer,
       1},
      {"failures above the threshold",
       {{0, kFailed}, {0, kFailed}, {0, kCommitted}, {1, kWaiting}},
       0.4,
       true,
       Kind::kRollBack,
       0},
      {"failure in the last wave", {{0, kCommitted}, {1, kFailed}, {1, kOffered}}, 0, true, Kind::kRollBack, 0},
      {"an interrupted agent is offered again", {{0, kWaiting}, {0, kCommitted}}, 0, true, Kind::kOffer, 1},
      {"a latecomer in a finished wave is offered",
       {{0, kCommitted}, {1, kCommitted}, {1, kWaiting}},
       0,
       true,
       Kind::kOffer,
       1},
      {"all committed", {{0, kCommitted}, {1, kCommitted}}, 0, true, Kind::kFinish, 0},
      {"agents that others took do not count",
       {{0, kSuperseded}, {0, kCommitted}, {1, kWaiting}},
       0,
       true,
       Kind::kOffer,
       1},
      {"nobody is left to wait for, and others took some",
       {{0, kCommitted}, {1, kSuperseded}},
       0,
       true,
       Kind::kSupersede,
       0},
      {"an empty first wave is skipped", {{1, kWaiting}}, 0, true, Kind::kOffer, 1},
  };
  for (const Case& row : cases) {
    platform::Deployment deployment;
    deployment.failure_threshold = row.threshold;
    deployment.automatic_rollback = row.automatic;
    std::vector<platform::DeploymentAgent> agents;
    for (const auto& [wave, progress] : row.agents) {
      platform::DeploymentAgent agent;
      agent.agent = "edge-" + std::to_string(agents.size());
      agent.wave = wave;
      agent.progress = progress;
      agents.push_back(agent);
    }
    const RolloutAction action = deploy::next_action(deployment, agents);
    EXPECT_EQ(action.kind, row.expected) << row.name;
    EXPECT_EQ(action.agents.size(), row.offered) << row.name;
    deployment.state = platform::DeploymentState::kPaused;
    EXPECT_EQ(deploy::next_action(deployment, agents).kind, Kind::kWait) << row.name << ", paused";
  }
}

TEST(Rollout, OffersAFinishedDeploymentToLatecomersAndNothingElse) {
  platform::Deployment finished;
  finished.state = platform::DeploymentState::kFinished;
  platform::DeploymentAgent done, late, failed;
  done.progress = kCommitted;
  failed.progress = kFailed;
  late.agent = "late";
  EXPECT_EQ(deploy::next_action(finished, {done, failed}).kind, Kind::kWait);
  const RolloutAction action = deploy::next_action(finished, {done, failed, late});
  EXPECT_EQ(action.kind, Kind::kOffer);
  EXPECT_EQ(action.agents, std::vector<std::string>{"late"});
}

TEST(Rollout, PutsEveryAgentIntoAStableWave) {
  std::vector<std::string> agents;
  for (int i = 0; i < 25; ++i) agents.push_back("edge-" + std::to_string(i));
  const auto waves = deploy::assign_waves("d-1", agents, {0.1, 0.5, 1.0});
  EXPECT_EQ(std::count(waves.begin(), waves.end(), 0), 3);   // ceil(2.5)
  EXPECT_EQ(std::count(waves.begin(), waves.end(), 1), 10);  // ceil(12.5) - 3
  EXPECT_EQ(std::count(waves.begin(), waves.end(), 2), 12);
  EXPECT_EQ(waves, deploy::assign_waves("d-1", agents, {0.1, 0.5, 1.0}));
  EXPECT_NE(waves, deploy::assign_waves("d-2", agents, {0.1, 0.5, 1.0}));
  EXPECT_EQ(deploy::assign_waves("d-1", {"only"}, {0.1, 1.0}), std::vector<std::int64_t>{0});
  EXPECT_TRUE(deploy::assign_waves("d-1", {}, {0.1, 1.0}).empty());
}

TEST(Rollout, OffersAgainAfterAPowerCutButNotAfterAFailure) {
  EXPECT_EQ(deploy::progress_after(kOffered, "proceeding", "none", "", 1), kOffered);
  EXPECT_EQ(deploy::progress_after(kOffered, "closed", "success", "", 1), kCommitted);
  EXPECT_EQ(deploy::progress_after(kOffered, "closed", "failure", "failed", 1), kFailed);
  EXPECT_EQ(deploy::progress_after(kOffered, "closed", "failure", "refused", 1), kFailed);
  EXPECT_EQ(deploy::progress_after(kOffered, "closed", "failure", "interrupted", 1), kWaiting);
  EXPECT_EQ(deploy::progress_after(kOffered, "closed", "failure", "interrupted", 3), kFailed);
  EXPECT_EQ(deploy::progress_after(kOffered, "closed", "failure", "withdrawn", 9), kWaiting);
  EXPECT_EQ(deploy::progress_after(kOffered, "closed", "failure", "older", 1), kSuperseded);
  EXPECT_EQ(deploy::progress_after(kSuperseded, "closed", "failure", "withdrawn", 1), kSuperseded);
  EXPECT_EQ(deploy::progress_after(kSuperseded, "closed", "success", "", 1), kCommitted);
  EXPECT_EQ(deploy::progress_after(kCommitted, "closed", "failure", "refused", 1), kCommitted);
}

}  // namespace
