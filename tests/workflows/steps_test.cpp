#include "connectors/file_access.h"
#include "platform/store/source_store.h"
#include "tests/workflows/steps_fixture.h"
#include "workflows/steps/deploy_rollout_step.h"

namespace {

using platform::RunState;
namespace json = platform::json;

const std::string kToTheLine =
    "  gate: {uses: model.gate, needs: [score], with: {metric: accuracy, at_least: 0}}\n"
    "  model: {uses: model.register, needs: [gate], with: {name: bearing}}\n"
    "  ship: {uses: deploy.rollout, needs: [model], with: {model: \"${{ steps.model.version }}\", to: line=3, waves: "
    "[100%], soak: 0s}}\n";

class StepsDb : public tests::StepsFixture {
 protected:
  void SetUp() override {
    StepsFixture::SetUp();
    write_table(40);
  }
  /// A short training of this dataset, alone.
  tests::StepAlone training(const json::object& data, const json::object& more) {
    json::object with{{"base", base().string()},
                      {"dataset", data.at("dataset")},
                      {"min_steps", 4},
                      {"max_steps", 4},
                      {"evaluations", 1}};
    for (const auto& [key, value] : more) with[key] = value;
    return alone("finetune.lora", with, {{"dataset.snapshot", data}});
  }
  json::value manifest_of(const json::object& trained) {
    const platform::TemporaryFolder place;
    blobs_->get_folder(std::string(trained.at("adapter").as_string()), place.path() / "adapter");
    return platform::read_json_file(place.path() / "adapter" / "anneal.json");
  }
  std::string production() {
    const auto found = registry_->resolve("default", "bearing", "production");
    return found ? found->str() : "none";
  }
};

TEST_F(StepsDb, ARunThatGoesOnFromItsDataBringsTheNewModelToTheLine) {
  add_agent("edge-3", "3");
  const Answering agent(*this, "edge-3", true);
  const platform::RunId id = start(flow(kToTheLine));
  work_off();
  ASSERT_EQ(run(id).state, RunState::kSucceeded) << run(id).error;
  const json::object first = outputs(id, "tune"), shipped = outputs(id, "ship");
  EXPECT_EQ(production(), "bearing/1");

  write_table(20);
  platform::retry_run(*runs_, id, "data", "kim");
  work_off();
  ASSERT_EQ(run(id).state, RunState::kSucceeded) << run(id).error;
  const json::object second = outputs(id, "tune");
  EXPECT_NE(second.at("digest"), first.at("digest"));
  EXPECT_EQ(outputs(id, "score").at("evaluation").at("adapter"), second.at("digest"))
      << "the adapter that is scored is the one that was trained";
  EXPECT_EQ(outputs(id, "model").at("version"), "bearing/2");
  EXPECT_EQ(models_->find_version("default", "bearing", 2)->adapter_digest, second.at("digest").as_string());
  EXPECT_NE(outputs(id, "ship").at("deployment"), shipped.at("deployment"));
  EXPECT_EQ(production(), "bearing/2");
}

TEST_F(StepsDb, ARolloutThatHasEndedIsMadeAnewWhenTheRunGoesOnFromIt) {
  add_agent("edge-3", "3");
  const Answering agent(*this, "edge-3", true);
  const platform::RunId id = start(flow(kToTheLine));
  work_off();
  ASSERT_EQ(run(id).state, RunState::kSucceeded) << run(id).error;
  const json::object first = outputs(id, "ship");
  platform::retry_run(*runs_, id, "ship", "kim");
  work_off();
  EXPECT_EQ(run(id).state, RunState::kSucceeded) << run(id).error;
  EXPECT_NE(outputs(id, "ship").at("deployment"), first.at("deployment")) << "the version was brought out again";
}

TEST_F(StepsDb, TheReportOfADatasetCountsTokensAsTheBaseOfTheRunDoes) {
  const platform::RunId id = start(flow());
  work_off();
  const json::object report = outputs(id, "data").at("report").as_object();
  const json::object& sizes = report.at("sizes").as_object();
  EXPECT_EQ(sizes.at("tokenizer"), json::value(base().string()));
  EXPECT_GT(sizes.at("tokens").at("minimum").to_number<int>(), 1);
  EXPECT_EQ(sizes.at("supervised_tokens").at("maximum"), json::value(1)) << "a class is one target";
}

TEST_F(StepsDb, AVersionWithoutAPassingGateIsNotOffered) {
  add_agent("edge-3", "3");
  platform::ModelVersion version;
  version.model = "bearing";
  version.base = base().string();
  version.base_digest = platform::digest_of("base");
  version.adapter_blob = blobs_->put("adapter");
  version.adapter_digest = platform::digest_of("adapter");
  registry_->register_version(version);
  deploy::DeploymentRequest request;
  request.model = "bearing";
  try {
    deploy::fill_from_registry(request, "1", *registry_, data_);
    FAIL() << "a version that no gate has judged was taken";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
    EXPECT_NE(std::string(error.what()).find("no gate report"), std::string::npos) << error.what();
  }
}

TEST_F(StepsDb, ARolloutToNobodyIsRefusedWithTheLabelsThereAre) {
  add_agent("edge-4", "4");
  const platform::RunId id = start(flow(kToTheLine));
  work_off();
  EXPECT_EQ(run(id).state, RunState::kFailed);
  EXPECT_NE(run(id).error.find("no agent matches 'line=3'; there are edge-4: line=4."), std::string::npos)
      << run(id).error;
}

TEST_F(StepsDb, AFirstRolloutThatFailsEndsItsStepAndAPersonMayTryAgain) {
  add_agent("edge-3", "3");
  const platform::RunId id = start(flow(kToTheLine));
  {
    const Answering agent(*this, "edge-3", false);
    work_off();
  }
  ASSERT_EQ(run(id).state, RunState::kFailed);
  for (const char* told : {"has failed", "no earlier version", "edge-3: as the test says"})
    EXPECT_NE(run(id).error.find(told), std::string::npos) << told << " in " << run(id).error;
  EXPECT_EQ(production(), "none");
  platform::retry_run(*runs_, id, "ship", "kim");
  const Answering agent(*this, "edge-3", true);
  work_off();
  EXPECT_EQ(run(id).state, RunState::kSucceeded) << run(id).error;
  EXPECT_EQ(production(), "bearing/1");
}

TEST_F(StepsDb, ARolloutIsGivenUpWhenItsStepHasNoTimeLeft) {
  add_agent("edge-3", "3");  // and never answers
  std::string text = flow(kToTheLine);
  text.replace(text.find("needs: [model],"), 15, "needs: [model], timeout: 1s,");
  const platform::RunId id = start(text);
  work_off();
  EXPECT_EQ(run(id).state, RunState::kFailed);
  EXPECT_NE(run(id).error.find("timeout of 1 s: stopped while waiting for the rollout; deployment "), std::string::npos)
      << run(id).error;
  EXPECT_EQ(deployment_store_->list("default", 0, 1).front().state, platform::DeploymentState::kRunning);
}

TEST_F(StepsDb, ARolloutHandsItselfBackBetweenTwoLooks) {
  add_agent("edge-3", "3");
  const platform::RunId id =
      start(flow("  gate: {uses: model.gate, needs: [score], with: {metric: accuracy, at_least: 0}}\n"
                 "  model: {uses: model.register, needs: [gate], with: {name: bearing}}\n"));
  work_off();
  ASSERT_EQ(run(id).state, RunState::kSucceeded) << run(id).error;
  auto context = alone("deploy.rollout", {{"model", "bearing/1"}, {"to", "line=3"}, {"waves", "100%"}, {"soak", "0s"}});
  const platform::StepOutcome first = execute(context);
  EXPECT_EQ(first.kind, platform::StepOutcome::Kind::kWaits);
  EXPECT_GT(first.wait.count(), 0);
  const auto offer = deployment_store_->offered_to("default", "edge-3");
  ASSERT_TRUE(offer);
  EXPECT_EQ(execute(context).kind, platform::StepOutcome::Kind::kWaits);
  EXPECT_EQ(deployment_store_->list("default", 0, 10).size(), 1u) << "a second look makes no second deployment";
  deployments_->report(*offer, "edge-3", "1", "idle", "closed", "success", "", "");
  const platform::StepOutcome last = execute(context);
  EXPECT_EQ(last.kind, platform::StepOutcome::Kind::kSucceeded) << last.error;
  EXPECT_EQ(last.outputs.at("deployment"), json::value(offer->id.str()));
  EXPECT_EQ(production(), "bearing/1");
}

TEST_F(StepsDb, AGateAgainstProductionScoresTheVersionThereAndPassesOnTheVeryAdapter) {
  const std::string gated =
      "  gate: {uses: model.gate, needs: [score], with: {metric: accuracy, at_least: 0}}\n"
      "  model: {uses: model.register, needs: [gate], with: {name: bearing}}\n";
  const platform::RunId first = start(flow(gated));
  work_off();
  write_table(20);
  const platform::RunId second = start(flow(gated));
  work_off();
  ASSERT_EQ(run(second).state, RunState::kSucceeded) << run(second).error;
  registry_->set_alias("default", "bearing", "production", 1, "kim", "the test");

  const json::object asked{{"metric", "accuracy"}, {"better_than", "alias:production"}, {"model", "bearing"}};
  auto own = alone("model.gate", asked, {{"model.evaluate", outputs(first, "score")}});
  EXPECT_EQ(execute(own).kind, platform::StepOutcome::Kind::kSucceeded);
  ASSERT_FALSE(own.said.empty());
  EXPECT_NE(own.said.back().find("this very adapter"), std::string::npos) << own.said.back();

  auto other = alone("model.gate", asked, {{"model.evaluate", outputs(second, "score")}});
  execute(other);
  ASSERT_FALSE(other.said.empty());
  EXPECT_NE(other.said.back().find("alias:production (bearing/1)"), std::string::npos) << other.said.back();
  registry_->set_alias("default", "bearing", "production", 2, "kim", "the test");
  execute(other);
  EXPECT_NE(other.said.back().find("stands at this very adapter (bearing/2)"), std::string::npos) << other.said.back();
}

TEST_F(StepsDb, ATrainingGoesOnFromTheAdapterOfAnotherStepOrFromAModelThatIsRegistered) {
  const platform::RunId id =
      start(flow("  gate: {uses: model.gate, needs: [score], with: {metric: accuracy, at_least: 0}}\n"
                 "  model: {uses: model.register, needs: [gate], with: {name: bearing}}\n"));
  work_off();
  ASSERT_EQ(run(id).state, RunState::kSucceeded) << run(id).error;
  const json::object data = outputs(id, "data"), tuned = outputs(id, "tune");
  std::vector<std::string> said;
  const auto parent_after = [&](const std::string& init) -> json::value {
    auto context = training(data, {{"init_adapter", init}});
    const json::object more = execute(context).outputs;
    said = context.said;
    const json::value manifest = manifest_of(more);
    const json::value* parent = manifest.at("training").as_object().if_contains("parent");
    return parent == nullptr ? json::value(nullptr) : *parent;
  };
  EXPECT_EQ(parent_after(std::string(tuned.at("adapter").as_string())), tuned.at("digest"));
  EXPECT_EQ(parent_after("bearing/1"), tuned.at("digest"));
  EXPECT_NE(said.front().find("goes on from bearing/1"), std::string::npos) << said.front();
  EXPECT_TRUE(parent_after("bearing/production").is_null());
  EXPECT_EQ(said.front(), "alias production of bearing is empty, so the training starts fresh");
  for (const auto& [init, code] : {std::pair{"bearing/9", platform::ErrorCode::kNotFound},
                                   std::pair{"bearing", platform::ErrorCode::kInvalidInput}}) {
    try {
      parent_after(init);
      FAIL() << init << " was gone on from";
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  }
}

TEST_F(StepsDb, AnOrdinalTrainingTakesTheOrderOfItsLabelsFromTheStepOrTheProfile) {
  const auto snapshot = [&](json::object with) {
    with["files"] = table().string();
    auto context = alone("dataset.snapshot", std::move(with));
    return execute(context).outputs;
  };
  const auto labels_after = [&](const json::object& data, const json::object& more) {
    auto context = training(data, more);
    return manifest_of(execute(context).outputs).at("labels");
  };
  const json::object found = snapshot({{"target", "state"}});
  try {
    labels_after(found, {{"task", "ordinal"}});
    FAIL() << "the alphabet's order was taken";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what())
                  .find("the order of the labels is not known: cold, hot are no numbers; list "
                        "them from low to high, as labels: [cold, hot]"),
              std::string::npos)
        << error.what();
  }
  const json::array falling{"hot", "cold"};
  EXPECT_EQ(labels_after(found, {{"task", "ordinal"}, {"labels", falling}}), falling);
  const json::object listed =
      snapshot({{"profile", json::parse(R"({"name":"bearing","fields":{"torque":"number"},"target":{"field":"state",
                                   "labels":["hot","cold"]},"prompt":"torque {{ number:torque }}"})")}});
  EXPECT_EQ(labels_after(listed, {{"task", "ordinal"}}), falling);
  EXPECT_THROW(labels_after(found, {{"task", "lm"}, {"labels", falling}}), platform::Error);
}

TEST_F(StepsDb, LabelsThatAreNumbersHaveTheirOrderWhereNobodyListedThem) {
  std::string lines = "torque,grade\n";
  for (int i = 0; i < 80; ++i) lines += std::to_string(i) + (i < 25 ? ",2\n" : i < 50 ? ",10\n" : ",1\n");
  platform::write_file_atomically(table(), lines);
  const auto labels_after = [&](json::object with) {
    with["files"] = table().string();
    auto data = alone("dataset.snapshot", std::move(with));
    auto context = training(execute(data).outputs, {{"task", "ordinal"}});
    return manifest_of(execute(context).outputs).at("labels");
  };
  EXPECT_EQ(labels_after({{"target", "grade"}}), (json::array{"1", "2", "10"}));
  const json::value listed = json::parse(R"({"name":"bearing","fields":{"torque":"number"},"target":{"field":"grade",
                                   "labels":["2","10","1"]},"prompt":"torque {{ number:torque }}"})");
  EXPECT_EQ(labels_after({{"profile", listed}}), (json::array{"2", "10", "1"})) << "a list is the order";
}

TEST_F(StepsDb, AGateSaysWhichScoresThereAreWhereItsOwnWasNotComputed) {
  const json::object evaluation{{"scores", {{{"metric", "accuracy"}, {"value", 1}, {"low", 1}, {"high", 1}}}},
                                {"baselines", json::object{}}};
  auto gate =
      alone("model.gate", {{"metric", "auroc"}, {"at_least", 0.5}}, {{"model.evaluate", {{"evaluation", evaluation}}}});
  try {
    execute(gate);
    FAIL() << "a score was judged that is not there";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.path(), "metric");
    EXPECT_NE(std::string(error.what()).find("has no score 'auroc', it has accuracy; "), std::string::npos)
        << error.what();
  }
}

TEST_F(StepsDb, AnEvaluationThatRunsTwiceGivesTheSameAndStopsWhenAsked) {
  const platform::RunId id = start(flow());
  work_off();
  const json::object asked{{"adapter", outputs(id, "tune").at("adapter")},
                           {"dataset", outputs(id, "data").at("dataset")}};
  auto context = alone("model.evaluate", asked, {{"finetune.lora", outputs(id, "tune")}});
  const platform::StepOutcome first = execute(context), second = execute(context);
  EXPECT_EQ(first.outputs, second.outputs);
  EXPECT_EQ(first.outputs.at("predictions"), outputs(id, "score").at("predictions"));
  EXPECT_EQ(first.outputs.at("evaluation").at("positive"), "cold") << "the profile's, not the rarer class";
  context.stop = true;
  try {
    execute(context);
    FAIL() << "it went on";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCancelled) << error.what();
  }
}

TEST_F(StepsDb, OfTwoTruthsAboutOnePredictionTheNewerIsLearnedFrom) {
  platform::SourceStore sources(database());
  platform::Source source;
  source.name = "feedback-bearing";
  source.connector = "rest_push";
  sources.create(source);
  platform::IngestRequest said;
  said.source = source.name;
  for (const auto& [key, label, at] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"a", "hot", "2026-03-01T09:00:00Z"}, {"b", "cold", "2026-03-01T08:00:00Z"}}) {
    platform::Observation row;
    row.key = key;
    row.event_time = platform::parse_time(at);
    row.fields = {{"torque", 1}, {"state", label}, {"anneal.prediction", "p"}};
    said.records.push_back(row);
  }
  records_->ingest(std::move(said));
  auto context = alone("dataset.snapshot", {{"source", "feedback-bearing"}, {"target", "state"}});
  const auto outcome = execute(context);
  EXPECT_EQ(outcome.outputs.at("examples"), json::value(1));
}

TEST_F(StepsDb, ADatasetIsMadeOfTheFilesThatTheWorkerMayReadWhenItOpensThem) {
  const std::filesystem::path inbox = folder_.path() / "inbox", link = inbox / "line-3.csv";
  std::filesystem::create_directories(inbox);
  services_->file_allowed = connectors::FileAccess({inbox}, data_).rule();
  const auto refusal = [&](const json::object& with) -> std::string {
    auto context = alone("dataset.snapshot", with);
    try {
      return "it made a dataset of " + json::serialize(execute(context).outputs.at("examples"));
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kForbidden) << error.what();
      return error.what();
    }
  };
  const json::object with{{"files", link.string()}, {"target", "state"}};
  std::filesystem::copy_file(table(), link);
  EXPECT_EQ(refusal(with), "it made a dataset of 80");
  std::filesystem::remove(link);
  std::filesystem::create_symlink(table(), link);  // after the run was let in
  EXPECT_NE(refusal(with).find("a link leads out"), std::string::npos) << refusal(with);
  const json::object outside{{"files", json::object{{"line-3", table().string()}}}, {"target", "state"}};
  EXPECT_NE(refusal(outside).find("--files-from"), std::string::npos) << refusal(outside);
  const json::object profile{{"files", link.string()}, {"profile", (folder_.path() / "profile.yaml").string()}};
  platform::write_file_atomically(folder_.path() / "profile.yaml", "secret");
  EXPECT_NE(refusal(profile).find("profile.yaml: it lies outside"), std::string::npos) << refusal(profile);
}

TEST_F(StepsDb, ADatasetWithoutAProfileIsCalledAfterItsTable) {
  auto context = alone("dataset.snapshot", {{"files", table().string()}, {"target", "state"}});
  EXPECT_EQ(execute(context).outputs.at("name"), "table");
}

TEST(RolloutRequest, TakesVersionSelectorWavesAndSoak) {
  std::string version;
  const deploy::DeploymentRequest request = workflows::rollout_request({{"model", "tool-failure/3"},
                                                                        {"to", "line=3"},
                                                                        {"waves", json::array{"10%", "50%", "100%"}},
                                                                        {"soak", "10m"},
                                                                        {"threshold", 0.2},
                                                                        {"rollback", "manual"}},
                                                                       version);
  EXPECT_EQ(request.model, "tool-failure");
  EXPECT_EQ(version, "3");
  EXPECT_EQ(request.waves, (std::vector<double>{0.1, 0.5, 1.0}));
  EXPECT_EQ(request.soak, std::chrono::minutes(10));
  EXPECT_EQ(request.failure_threshold, 0.2);
  EXPECT_FALSE(request.automatic_rollback);
  EXPECT_THROW(workflows::rollout_request({{"model", "tool-failure"}}, version), platform::Error);
  EXPECT_THROW(workflows::rollout_request({{"model", "a/1"}, {"waves", json::array{"50%"}}}, version), platform::Error);
}

}  // namespace
