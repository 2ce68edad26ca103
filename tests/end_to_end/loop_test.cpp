// The whole loop with the real programs: a simulated machine is read over REST, its records become a dataset, an
// adapter is trained, scored, judged, registered, approved and rolled out, and the agent answers with it, also without
// the server.
#include <gtest/gtest.h>

#include "platform/base/file.h"
#include "tests/support/plant.h"

namespace tests {
namespace {

constexpr const char* kFlow = R"yaml(
name: loop
inputs:
  source: {type: source}
  at_least: {type: number, default: 0.0}
steps:
  data:  {uses: dataset.snapshot, with: {source: "${{ inputs.source }}", profile: machine-failure}}
  tune:
    uses: finetune.lora
    needs: [data]
    with: {base: anneal-nano, dataset: "${{ steps.data.dataset }}", r: 4, max_steps: 25, min_steps: 1, evaluations: 2, seed: 3}
  score: {uses: model.evaluate, needs: [tune], with: {adapter: "${{ steps.tune.adapter }}", dataset: "${{ steps.data.dataset }}"}}
  gate:  {uses: model.gate, needs: [score], with: {metric: average_precision, at_least: "${{ inputs.at_least }}"}}
  model: {uses: model.register, needs: [gate], with: {name: loop}}
  ok:    {uses: approval, needs: [model], with: {role: engineer}}
  ship:  {uses: deploy.rollout, needs: [ok], with: {model: "${{ steps.model.version }}", to: "line=3", waves: [100%], soak: 0s}}
)yaml";

const json::object& step_of(const json::object& run, std::string_view name) {
  for (const json::value& step : run.at("steps").as_array()) {
    if (step.at("name") == json::value(name)) return step.as_object();
  }
  throw std::runtime_error("the run has no step " + std::string(name));
}

json::object record() {
  return {{"Type", "M"},
          {"Air temperature [K]", 298.1},
          {"Process temperature [K]", 308.6},
          {"Rotational speed [rpm]", 1551},
          {"Torque [Nm]", 42.8},
          {"Tool wear [min]", 5}};
}

class LoopEndToEnd : public testing::Test {
 protected:
  void SetUp() override {
    server_.start();
    agent_.start();
  }

  RestClient server() { return server_.client(); }

  // Reads the plant's history into source `mill`.
  void read_the_plant() {
    auto client = server();
    client.post(
        "/api/v1/sources",
        json::object{{"name", "mill"},
                     {"connector", "rest_poll"},
                     {"profile", "machine-failure"},
                     {"settings", json::object{{"url", plant_.address()},
                                               {"target", "/records"},
                                               {"items", "items"},
                                               {"cursor", json::object{{"param", "after"}, {"next", "next"}}}}}});
    client.post("/api/v1/sources/mill/start");
    ASSERT_TRUE(wait_until([&] { return client.get("/api/v1/sources/mill").at("records") == json::value(kHistory); }))
        << json::serialize(client.get("/api/v1/sources/mill"));
  }

  std::string start(double at_least) {
    auto client = server();
    return std::string(
        client
            .post("/api/v1/runs",
                  json::object{{"text", kFlow}, {"inputs", json::object{{"source", "mill"}, {"at_least", at_least}}}})
            .at("id")
            .as_string());
  }

  json::object run(const std::string& id) { return server().get("/api/v1/runs/" + id); }

  bool step_becomes(const std::string& id, std::string_view step, std::string_view state) {
    return wait_until(
               [&] {
                 return step_of(run(id), step).at("state") == json::value(state) || run(id).at("state") == "failed";
               },
               std::chrono::minutes(5)) &&
           step_of(run(id), step).at("state") == json::value(state);
  }

  static constexpr int kHistory = 1500;
  platform::TemporaryFolder folder_;
  ServerProcess server_{folder_.path() / "server", {"--worker-threads", "1"}};
  PlantProcess plant_{folder_.path(), kHistory};
  AgentProcess agent_{server_, folder_.path() / "agent", "edge-03", "line=3"};
};

TEST_F(LoopEndToEnd, RecordsOfAMachineBecomeAModelThatAnswersBesideItAlsoWithoutTheServer) {
  read_the_plant();
  const std::string id = start(0.0);
  ASSERT_TRUE(step_becomes(id, "ok", "waiting_approval")) << json::serialize(run(id));
  EXPECT_EQ(agent_.client().send(platform::Method::kGet, "/readyz").status, 503)
      << "nothing may reach the plant before the approval";

  auto client = server();
  client.post("/api/v1/runs/" + id + "/steps/ok/approve", json::object{{"comment", "seen"}});
  ASSERT_TRUE(wait_until([&] { return run(id).at("state") == "succeeded"; }, std::chrono::minutes(2)))
      << json::serialize(run(id));

  const std::string digest(step_of(run(id), "tune").at("outputs").at("digest").as_string());
  const json::object version = client.get("/api/v1/models/loop/versions/1");
  EXPECT_EQ(version.at("adapter_digest"), json::value(digest));
  EXPECT_EQ(version.at("run"), json::value(id));
  EXPECT_EQ(client.get("/api/v1/models/loop/aliases/production").at("version"), 1);
  EXPECT_GT(client.get("/api/v1/runs/" + id + "/metrics?step=tune").at("items").as_array().size(), 20U);

  auto agent = agent_.client();
  const json::object answer = agent.post("/v1/predict", json::object{{"record", record()}});
  EXPECT_EQ(answer.at("adapter_digest"), json::value(digest));
  EXPECT_EQ(answer.at("model"), "loop");
  EXPECT_TRUE(answer.at("label") == "0" || answer.at("label") == "1") << json::serialize(answer);

  // Without the server the machine still gets answers, and what people say about them is kept.
  ASSERT_TRUE(server_.kill());
  const json::object alone = agent.post("/v1/predict", json::object{{"record", record()}});
  EXPECT_EQ(alone.at("probabilities"), answer.at("probabilities"));
  agent.post("/v1/feedback", json::object{{"id", alone.at("id")}, {"label", "1"}});
  server_.start();
  auto again = server();
  ASSERT_TRUE(wait_until([&] { return again.get("/api/v1/sources/feedback-loop").at("records") == json::value(1); }));
  const json::object newest = again.get("/api/v1/sources/feedback-loop/records");
  const json::object& kept = newest.at("items").as_array().front().as_object();
  EXPECT_EQ(kept.at("fields").at("anneal.adapter_digest"), json::value(digest));
}

TEST_F(LoopEndToEnd, AModelThatMissesItsGateIsNotRegisteredAndTheRunSaysByHowMuch) {
  read_the_plant();
  const std::string id = start(1.01);
  ASSERT_TRUE(wait_until([&] { return run(id).at("state") == "failed"; }, std::chrono::minutes(5)))
      << json::serialize(run(id));
  const std::string error(step_of(run(id), "gate").at("error").as_string());
  EXPECT_NE(error.find("asked for at least 1.0100"), std::string::npos) << error;
  EXPECT_EQ(step_of(run(id), "model").at("state"), "skipped");
  auto client = server();
  EXPECT_EQ(client.get("/api/v1/models").at("items").as_array().size(), 0U);
  EXPECT_EQ(client.get("/api/v1/deployments").at("items").as_array().size(), 0U);
}

TEST_F(LoopEndToEnd, AWorkflowWithMistakesStartsNothingAndNamesThemAll) {
  auto client = server();
  const auto answer =
      client.send(platform::Method::kPost, "/api/v1/workflows/validate",
                  "name: x\nsteps:\n  a: {uses: dataset.snapshot, wiht: {}}\n  b: {uses: model.gatee, needs: [c]}\n",
                  "application/yaml");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json::value verdict = answer.json();
  EXPECT_EQ(verdict.at("valid"), json::value(false));
  const json::array& mistakes = verdict.at("mistakes").as_array();
  ASSERT_GE(mistakes.size(), 3U) << answer.body;
  EXPECT_EQ(mistakes.at(0).at("line"), 3);
  const auto refused = client.send(platform::Method::kPost, "/api/v1/runs",
                                   json::serialize(json::object{{"text", "name: x\nsteps:\n  a: {uses: nothing}\n"}}));
  EXPECT_EQ(refused.status, 400) << refused.body;
  EXPECT_EQ(client.get("/api/v1/runs").at("items").as_array().size(), 0U);
}

TEST_F(LoopEndToEnd, ARunOnAMisspeltSourceIsRefusedAtTheDoor) {
  auto client = server();
  const auto refused = client.send(
      platform::Method::kPost, "/api/v1/runs",
      json::serialize(json::object{{"workflow", "robot-navigation"}, {"inputs", json::object{{"source", "nowhere"}}}}));
  EXPECT_EQ(refused.status, 400) << refused.body;
  EXPECT_NE(refused.body.find("there is no source 'nowhere'"), std::string::npos) << refused.body;
}

}  // namespace
}  // namespace tests
