#include "deploy/deployments.h"

#include "deploy/rollout.h"
#include "platform/base/error.h"
#include "platform/store/blob_store.h"
#include "platform/store/deployment_store.h"
#include "tests/support/temp_database.h"

namespace {

using namespace std::chrono_literals;
using platform::AgentProgress;
using platform::DeploymentState;
using platform::Error;

class DeploymentsDb : public tests::TempDatabase {
 protected:
  void SetUp() override {
    TempDatabase::SetUp();
    store_ = std::make_unique<platform::DeploymentStore>(database());
    blobs_ = std::make_unique<platform::BlobStore>(folder_.path() / "blobs");
    deployments_ = std::make_unique<deploy::Deployments>(
        *store_, *blobs_, deploy::SigningKeys::open(folder_.path() / "keys"), clock_, platform::Log::silent(),
        [this](const platform::Deployment& done) {
          finished_.push_back(done.model_version);
          return objection_;
        });
    std::filesystem::create_directories(folder_.path() / "base");
    platform::write_file_atomically(folder_.path() / "base" / "config.json", "{}");
  }
  void add_agent(const std::string& name, const std::string& line) {
    platform::Agent agent;
    agent.name = name;
    agent.labels = {{"line", line}};
    store_->register_agent(agent);
    deployments_->agent_appeared(agent);
  }
  platform::Deployment deploy_version(const std::string& version, std::vector<double> waves = {1.0},
                                      bool automatic = true, const std::string& model = "tool-failure",
                                      const std::string& selector = "line=3") {
    const auto adapter = folder_.path() / ("adapter-" + version);
    std::filesystem::create_directories(adapter);
    platform::write_file_atomically(adapter / "anneal.json",
                                    "{\"base\":\"" + platform::digest_of("base") + "\",\"version\":" + version + "}");
    deploy::DeploymentRequest request;
    request.model = model;
    request.model_version = version;
    request.adapter = blobs_->put_folder(adapter);
    request.base_folder = folder_.path() / "base";
    request.selector = selector;
    request.waves = std::move(waves);
    request.soak = 1s;
    request.automatic_rollback = automatic;
    request.created_by = "kim";
    return deployments_->create(request);
  }
  void report(const platform::Deployment& deployment, const std::string& agent, const std::string& finished,
              const std::string& code = "") {
    deployments_->report(deployment, agent, std::to_string(++reports_), "committed", "closed", finished, code,
                         code.empty() ? "" : "it " + code);
  }
  platform::Deployment now(const platform::Deployment& deployment) { return *store_->find_by_id(deployment.id); }
  std::vector<std::string> in(const platform::Deployment& deployment, AgentProgress progress) {
    std::vector<std::string> names;
    for (const auto& agent : store_->agents_of(deployment.id))
      if (agent.progress == progress) names.push_back(agent.agent);
    return names;
  }

  platform::TemporaryFolder folder_;
  platform::SystemClock clock_;
  std::unique_ptr<platform::DeploymentStore> store_;
  std::unique_ptr<platform::BlobStore> blobs_;
  std::unique_ptr<deploy::Deployments> deployments_;
  std::vector<std::string> finished_;
  std::string objection_;
  int reports_ = 0;
};

TEST_F(DeploymentsDb, GoesThroughItsWavesAndFinishesOnce) {
  for (const char* name : {"a", "b", "c"}) add_agent(name, "3");
  add_agent("elsewhere", "4");
  const auto deployment = deploy_version("1", {0.1, 1.0});
  const auto first = in(deployment, AgentProgress::kOffered);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(store_->offered_to("default", first.front())->id, deployment.id);
  EXPECT_FALSE(store_->offered_to("default", "elsewhere"));
  report(deployment, first.front(), "success");
  const auto second = in(deployment, AgentProgress::kOffered);
  ASSERT_EQ(second.size(), 2u);
  for (const auto& name : second) report(deployment, name, "success");
  EXPECT_EQ(now(deployment).state, DeploymentState::kFinished);
  EXPECT_EQ(finished_, std::vector<std::string>{"1"});
}

TEST_F(DeploymentsDb, BringsThePreviousVersionBackUnderAHigherNumberWhenAnAgentFails) {
  add_agent("a", "3");
  const auto one = deploy_version("1");
  report(one, "a", "success");
  const auto two = deploy_version("2");
  report(two, "a", "failure", "failed");
  EXPECT_EQ(now(two).state, DeploymentState::kRolledBack);
  const auto back = store_->list("default", 0, 1).front();
  EXPECT_EQ(back.undoes, two.id);
  EXPECT_EQ(back.model_version, "1");
  EXPECT_GT(back.number, two.number);
  EXPECT_EQ(store_->offered_to("default", "a")->id, back.id);
  const auto metadata = deployments_->metadata(back, 60s);
  const auto checked = deploy::check_metadata(metadata.root, metadata.timestamp, metadata.targets, {}, clock_.now());
  EXPECT_EQ(checked.targets.adapter_digest, one.adapter_digest);
}

TEST_F(DeploymentsDb, PausesWhereAPersonDecidesAndGoesOnWhenResumed) {
  add_agent("a", "3");
  const auto one = deploy_version("1", {1.0}, false);
  report(one, "a", "failure", "refused");
  EXPECT_EQ(now(one).state, DeploymentState::kPaused);
  EXPECT_FALSE(store_->offered_to("default", "a"));
  deployments_->resume(now(one), "kim");
  EXPECT_EQ(in(one, AgentProgress::kOffered), std::vector<std::string>{"a"});
  EXPECT_THROW(deployments_->resume(now(one), "kim"), Error);
}

TEST_F(DeploymentsDb, OffersAgainAfterAPowerCut) {
  add_agent("a", "3");
  const auto one = deploy_version("1");
  report(one, "a", "failure", "interrupted");
  EXPECT_EQ(in(one, AgentProgress::kOffered), std::vector<std::string>{"a"});
  EXPECT_EQ(now(one).state, DeploymentState::kRunning);
}

TEST_F(DeploymentsDb, SaysOnAFinishedRolloutWhatCouldNotFollowIt) {
  add_agent("a", "3");
  objection_ = "production stays";
  const auto one = deploy_version("1");
  report(one, "a", "success");
  EXPECT_EQ(now(one).state, DeploymentState::kFinished);
  EXPECT_EQ(now(one).reason, "production stays");
}

TEST_F(DeploymentsDb, CountsAReportOnce) {
  add_agent("a", "3");
  const auto one = deploy_version("1", {1.0}, false);
  for (int i = 0; i < 3; ++i)
    deployments_->report(one, "a", "same", "idle", "closed", "failure", "interrupted", "power");
  EXPECT_EQ(store_->agents_of(one.id).front().attempts, 2);
}

TEST_F(DeploymentsDb, SupersedesAnOlderRolloutAndTakesInALateAgent) {
  add_agent("a", "3");
  const auto one = deploy_version("1"), two = deploy_version("2");
  EXPECT_EQ(now(one).state, DeploymentState::kSuperseded);
  report(two, "a", "success");
  EXPECT_EQ(now(two).state, DeploymentState::kFinished);
  add_agent("late", "3");
  EXPECT_EQ(store_->offered_to("default", "late")->id, two.id);
}

TEST_F(DeploymentsDb, GivesALateAgentOnlyTheNewestDeploymentThatSelectsIt) {
  add_agent("a", "3");
  const auto one = deploy_version("1");
  report(one, "a", "success");
  const auto two = deploy_version("2", {1.0}, true, "quality");
  report(two, "a", "success");
  const auto narrow = deploy_version("3", {1.0}, true, "quality", "name=a");
  report(narrow, "a", "success");
  finished_.clear();
  add_agent("late", "3");
  EXPECT_EQ(store_->offered_to("default", "late")->id, two.id);
  EXPECT_EQ(store_->agents_of(one.id).size(), 1u);
  EXPECT_EQ(store_->agents_of(narrow.id).size(), 1u);
  add_agent("a", "3");  // it describes itself anew at each start
  EXPECT_FALSE(store_->offered_to("default", "a"));
  EXPECT_EQ(now(one).state, DeploymentState::kFinished);
}

TEST_F(DeploymentsDb, NeverGivesAnAgentANumberBelowOneThatItHasHad) {
  add_agent("old-line", "4");
  const auto four = deploy_version("1", {1.0}, true, "tool-failure", "line=4");
  report(four, "old-line", "success");
  add_agent("a", "3");
  report(deploy_version("2"), "a", "success");
  add_agent("a", "4");  // moved to another line
  EXPECT_FALSE(store_->offered_to("default", "a"));
  EXPECT_EQ(store_->agents_of(four.id).size(), 1u);
}

TEST_F(DeploymentsDb, TakesAnAgentThatHasSeenANewerBundleForServedElsewhereNotForFailed) {
  for (const char* name : {"a", "b"}) add_agent(name, "3");
  const auto one = deploy_version("1");
  report(one, "a", "success");
  report(one, "b", "failure", "older");
  EXPECT_EQ(in(one, AgentProgress::kSuperseded), std::vector<std::string>{"b"});
  EXPECT_EQ(now(one).state, DeploymentState::kSuperseded);
  EXPECT_EQ(store_->list("default", 0, 10).size(), 1u);  // nothing was rolled back
}

TEST_F(DeploymentsDb, LeavesProductionAloneWhenALateAgentCatchesUp) {
  add_agent("a", "3");
  const auto one = deploy_version("1");
  report(one, "a", "success");
  ASSERT_EQ(finished_, std::vector<std::string>{"1"});
  add_agent("late", "3");
  EXPECT_EQ(now(one).state, DeploymentState::kFinished);
  EXPECT_EQ(store_->offered_to("default", "late")->id, one.id);
  report(one, "late", "failure", "interrupted");
  EXPECT_EQ(store_->offered_to("default", "late")->id, one.id);
  report(one, "late", "success");
  EXPECT_EQ(finished_, std::vector<std::string>{"1"});
  add_agent("later", "3");
  report(one, "later", "failure", "failed");  // one late machine takes nothing from the others
  EXPECT_EQ(now(one).state, DeploymentState::kFinished);
}

TEST_F(DeploymentsDb, RollsBackWholeOrNotAtAll) {
  add_agent("a", "3");
  report(deploy_version("1"), "a", "success");
  const auto two = deploy_version("2");
  report(two, "a", "success");
  auto twin = now(two);  // its number is taken: the new deployment cannot be stored
  EXPECT_THROW(store_->roll_back(two.id, "kim", "why", {{twin, {}}}), Error);
  EXPECT_EQ(now(two).state, DeploymentState::kFinished);
  const auto back = deployments_->roll_back(now(two), "kim", "why");
  ASSERT_TRUE(back);
  EXPECT_EQ(now(two).state, DeploymentState::kRolledBack);
  EXPECT_EQ(store_->offered_to("default", "a")->id, back->id);
  EXPECT_THROW(deployments_->roll_back(now(two), "kim", "again"), Error);
}

TEST_F(DeploymentsDb, GoesOnAfterAPauseInTheMiddleOfAnInstallation) {
  for (const char* name : {"a", "b"}) add_agent(name, "3");
  const auto one = deploy_version("1", {0.5, 1.0});
  const std::string first = in(one, AgentProgress::kOffered).front();
  deployments_->pause(now(one), "kim", "night shift");
  EXPECT_EQ(store_->offered_to("default", first)->id, one.id);  // what began may end
  report(one, first, "failure", "withdrawn");                   // an agent that had given up before
  EXPECT_EQ(in(one, AgentProgress::kFailed).size(), 0u);
  deployments_->resume(now(one), "kim");
  EXPECT_EQ(now(one).state, DeploymentState::kRunning);
  EXPECT_EQ(in(one, AgentProgress::kOffered), std::vector<std::string>{first});
}

TEST_F(DeploymentsDb, TakesInAtTheResumeWhoAppearedDuringThePause) {
  add_agent("a", "3");
  report(deploy_version("1"), "a", "success");
  const auto two = deploy_version("2", {1.0}, false);
  deployments_->pause(now(two), "kim", "night shift");
  add_agent("late", "3");
  deployments_->resume(now(two), "kim");
  EXPECT_EQ(store_->offered_to("default", "late")->id, two.id);
}

TEST_F(DeploymentsDb, EndsARolloutWhoseLastAgentsANewerOneTook) {
  for (const char* name : {"a", "b"}) add_agent(name, "3");
  const auto one = deploy_version("1");
  report(one, "a", "success");
  const auto two = deploy_version("2", {1.0}, true, "quality", "name=b");
  EXPECT_EQ(now(one).state, DeploymentState::kSuperseded);
  EXPECT_NE(now(one).reason.find("took its last agents"), std::string::npos) << now(one).reason;
  EXPECT_EQ(in(one, AgentProgress::kSuperseded), std::vector<std::string>{"b"});
  EXPECT_TRUE(finished_.empty());
  EXPECT_EQ(store_->offered_to("default", "b")->id, two.id);
}

TEST_F(DeploymentsDb, FindsTheVersionToGoBackToForEachAgent) {
  for (const char* name : {"a", "b", "c"}) add_agent(name, "3");
  report(deploy_version("1", {1.0}, true, "tool-failure", "name=a"), "a", "success");
  report(deploy_version("2", {1.0}, true, "quality", "name=b"), "b", "success");
  finished_.clear();
  const auto bad = deploy_version("3", {1.0}, true, "tool-failure", "*");
  report(bad, "c", "failure", "failed");
  EXPECT_EQ(now(bad).state, DeploymentState::kRolledBack);
  const auto for_a = *store_->offered_to("default", "a"), for_b = *store_->offered_to("default", "b");
  EXPECT_EQ(for_a.model_version, "1");
  EXPECT_EQ(for_b.model_version, "2");
  EXPECT_EQ(store_->offered_to("default", "c")->id, for_b.id);  // had none: the newest of the others
  EXPECT_EQ(for_a.undoes, bad.id);
  report(for_a, "a", "success");
  report(for_b, "b", "success");
  report(for_b, "c", "success");
  EXPECT_EQ(now(for_a).state, DeploymentState::kFinished);
  EXPECT_TRUE(finished_.empty());  // the bad one never moved production, so nothing is moved back
}

TEST_F(DeploymentsDb, MovesProductionBackWithTheFleet) {
  add_agent("a", "3");
  report(deploy_version("1"), "a", "success");
  const auto two = deploy_version("2");
  report(two, "a", "success");
  const auto back = deployments_->roll_back(now(two), "kim", "why");
  report(*back, "a", "success");
  EXPECT_EQ(finished_, (std::vector<std::string>{"1", "2", "1"}));
}

TEST_F(DeploymentsDb, FailsAndSaysSoWhereThereIsNothingToGoBackTo) {
  for (const char* name : {"a", "b", "c"}) add_agent(name, "3");
  const auto one = deploy_version("1", {0.1, 1.0});
  const std::string through = in(one, AgentProgress::kOffered).front();
  report(one, through, "success");
  const auto second = in(one, AgentProgress::kOffered);
  ASSERT_EQ(second.size(), 2u);
  report(one, second[0], "failure", "failed");
  EXPECT_EQ(now(one).state, DeploymentState::kFailed);
  for (const std::string& told : {second[0] + ": it failed", std::string("no earlier version"), through + " goes on"})
    EXPECT_NE(now(one).reason.find(told), std::string::npos) << told << " in " << now(one).reason;
  EXPECT_FALSE(store_->offered_to("default", second[1])) << "what is under way is withdrawn";
  const auto two = deploy_version("2");
  report(two, second[0], "failure", "failed");
  EXPECT_EQ(now(two).state, DeploymentState::kFailed) << "a version that has failed is nothing to go back to";
}

TEST_F(DeploymentsDb, OffersAgainWhatAnAgentHasLostAndNothingElse) {
  add_agent("a", "3");
  const auto answers = [&](const std::string& adapter, const std::string& line = "3") {
    platform::Agent agent;
    agent.name = "a";
    agent.labels = {{"line", line}};
    agent.adapter_digest = adapter;
    deployments_->agent_answers_with(agent);
    const auto offered = store_->offered_to("default", "a");
    return offered ? offered->model_version : "nothing";
  };
  const auto one = deploy_version("1");
  report(one, "a", "success");
  const auto two = deploy_version("2");
  EXPECT_EQ(answers(one.adapter_digest), "2") << "that is on its way already";
  report(two, "a", "success");
  EXPECT_EQ(answers(two.adapter_digest), "nothing");
  EXPECT_EQ(answers("", "4"), "nothing") << "it belongs to another line now";
  EXPECT_EQ(answers(one.adapter_digest), "2") << "an old disk";
  report(two, "a", "success");
  EXPECT_EQ(answers(""), "2") << "an empty disk";
  EXPECT_EQ(now(two).state, DeploymentState::kFinished);
  report(two, "a", "failure", "failed");
  EXPECT_EQ(answers(one.adapter_digest), "nothing");
  EXPECT_EQ(answers(""), "2") << "what has failed is tried again at each start, and never an older one";
  EXPECT_EQ(finished_, (std::vector<std::string>{"1", "2"})) << "production stays where it is";
  const auto courier = deploy_version("3", {1.0}, true, "tool-failure", "line=9");
  report(two, "a", "success");
  EXPECT_EQ(answers(courier.adapter_digest), "nothing") << "it has that from a courier";
}

TEST_F(DeploymentsDb, TravelsAsOneFile) {
  add_agent("a", "3");
  const auto one = deploy_version("1");
  deployments_->export_bundle(one, 24h, folder_.path() / "tool.anneal");
  deploy::BlobFolder destination(folder_.path() / "stick");
  const auto targets =
      deploy::read_bundle(folder_.path() / "tool.anneal", destination, [&](const deploy::BundleMetadata& read) {
        return deploy::check_metadata(deployments_->keys().root(), read.timestamp, read.targets, {}, clock_.now())
            .targets;
      });
  EXPECT_EQ(targets.version, one.number);
  EXPECT_TRUE(destination.has(one.adapter_digest));
}

TEST_F(DeploymentsDb, RefusesWavesAndSelectorsThatMakeNoSense) {
  for (const auto& waves : {std::vector<double>{}, {0.5}, {0.5, 0.2, 1.0}, {0.0, 1.0}, {1.0, 2.0}})
    EXPECT_THROW(deploy_version("9", waves), Error);
}

TEST_F(DeploymentsDb, KeepsAPredictionOnce) {
  platform::PredictionRecord prediction{
      platform::new_uuid(), "default",           "a",      "tool-failure", "1", "sha256:x", clock_.now(),
      "{\"torque\":1.5}",   "{\"label\":\"1\"}", "failure"};
  EXPECT_EQ(store_->add_predictions({prediction, prediction}), 1);
  EXPECT_EQ(store_->find_prediction("default", prediction.id)->target, "failure");
  EXPECT_FALSE(store_->find_prediction("default", "nothing"));
}

}  // namespace
