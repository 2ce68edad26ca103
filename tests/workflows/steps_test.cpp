#include "tests/workflows/steps_fixture.h"

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

}  // namespace
