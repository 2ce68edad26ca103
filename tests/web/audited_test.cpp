#include "web/api/audited.h"

#include "platform/base/digest.h"
#include "platform/engine/run_control.h"
#include "tests/web/whole_server.h"

namespace tests {
namespace {

namespace json = platform::json;
using platform::Role;

class AuditedDb : public WholeServer {
 protected:
  static void SetUpTestSuite() {
    WholeServer::SetUpTestSuite();
    engineer_ = std::make_unique<platform::HttpClient>(client(Role::kEngineer, "lee"));
    approver_ = std::make_unique<platform::HttpClient>(client(Role::kApprover, "kim"));
  }
  static void TearDownTestSuite() {
    engineer_.reset();
    approver_.reset();
    WholeServer::TearDownTestSuite();
  }
  static void expect_line(const std::string& actor, const std::string& action, const std::string& subject,
                          const json::object& details) {
    const platform::AuditLine line = services().audit().list("default", 0, 1).at(0);
    EXPECT_EQ(line.actor, actor);
    EXPECT_EQ(line.action, action);
    EXPECT_EQ(line.subject, subject);
    for (const auto& pair : details)
      EXPECT_EQ(line.details.at(pair.key()), pair.value()) << pair.key() << " of " << action;
  }
  static json::value post(const std::string& path, const std::string& body = "{}") {
    return engineer_->post("/api/v1" + path, body).checked().json();
  }
  static std::string started() {
    return std::string(
        post("/runs", json::serialize(json::object{{"text", "name: ask\nsteps:\n  ok: {uses: approval}\n"}}))
            .at("id")
            .as_string());
  }

  inline static std::unique_ptr<platform::HttpClient> engineer_, approver_;
};

TEST_F(AuditedDb, TheLifeOfASource) {
  post("/sources", R"({"name":"line-3","connector":"rest_push"})");
  expect_line("lee", "source.create", "source/line-3", {{"connector", "rest_push"}});
  post("/sources/line-3/start");
  expect_line("lee", "source.start", "source/line-3", {});
  post("/sources/line-3/stop");
  expect_line("lee", "source.stop", "source/line-3", {});
  EXPECT_EQ(engineer_->remove("/api/v1/sources/line-3").status, 204);
  expect_line("lee", "source.delete", "source/line-3", {});
}

TEST_F(AuditedDb, WhatIsDoneWithRuns) {
  const std::string id = started();
  expect_line("lee", "run.start", "run/" + id, {{"workflow", "ask"}, {"inputs", json::object()}});
  post("/runs/" + id + "/cancel");
  expect_line("lee", "run.cancel", "run/" + id, {{"workflow", "ask"}});
  post("/runs/" + id + "/retry", R"({"step":"ok"})");
  expect_line("lee", "run.retry", "run/" + id, {{"step", "ok"}});
}

TEST_F(AuditedDb, WhoApprovedAndWhoRejectedAndWhy) {
  for (const std::string decision : {"approve", "reject"}) {
    const std::string id = started();
    platform::transact(services().database(), [&](pqxx::work& work) {
      work.exec_params0("UPDATE run_steps SET state = 'waiting_approval' WHERE run_id = $1", id);
    });
    approver_->post("/api/v1/runs/" + id + "/steps/ok/" + decision, R"({"comment":"seen on line 3"})").checked();
    expect_line("kim", "run." + decision, "run/" + id, {{"step", "ok"}, {"comment", "seen on line 3"}});
  }
}

TEST_F(AuditedDb, WhatIsDoneWithDeployments) {
  platform::Deployment deployment;
  deployment.id = platform::DeploymentId::make();
  deployment.number = services().deployment_store().next_number();
  deployment.model = "tool-failure";
  deployment.model_version = "1";
  deployment.selector = "line=3";
  deployment.targets = "{}";
  platform::DeploymentAgent waiting;
  waiting.agent = "press-7";
  services().deployment_store().create(deployment, {waiting});
  const std::string one = "/deployments/" + deployment.id.str(), subject = "deployment/" + deployment.id.str();
  post(one + "/pause", R"({"reason":"shift change"})");
  expect_line("lee", "deployment.pause", subject, {{"reason", "shift change"}});
  post(one + "/resume");
  expect_line("lee", "deployment.resume", subject, {});
  post(one + "/rollback", R"({"reason":"scrap rate rose"})");
  expect_line("lee", "deployment.roll_back", subject, {{"reason", "scrap rate rose"}});
}

TEST_F(AuditedDb, ADeploymentThatWasMade) {
  const std::filesystem::path folder = services().data().root / "adapter";
  std::filesystem::create_directories(folder);
  platform::write_file_atomically(folder / "anneal.json", R"({"base":"tiny"})");
  const std::filesystem::path base = services().data().bases() / "tiny";
  std::filesystem::create_directories(base);
  platform::write_file_atomically(base / "config.json", "{}");
  platform::ModelVersion version;
  version.model = "tool-failure";
  version.base = "tiny";
  version.base_digest = platform::digest_of("base");
  version.adapter_blob = services().blobs().put_folder(folder);
  version.adapter_digest = platform::digest_of(R"({"base":"tiny"})");
  version.gate = json::object{{"passed", true}};
  services().registry().register_version(version);
  const auto made = engineer_->post("/api/v1/deployments", R"({"model":"tool-failure","version":"1","to":"line=9"})");
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string id(made.json().at("id").as_string());
  expect_line("lee", "deployment.create", "deployment/" + id, {{"model", "tool-failure"}, {"to", "line=9"}});
  engineer_->post("/api/v1/deployments/" + id + "/bundle", "").checked();
  expect_line("lee", "deployment.export", "deployment/" + id, {});
}

TEST_F(AuditedDb, AWorkflowThatWasSavedAndDeleted) {
  const auto saved =
      engineer_->post("/api/v1/workflows", "name: ask\nsteps:\n  ok: {uses: approval}\n", "application/yaml")
          .checked()
          .json();
  expect_line("lee", "workflow.save", "workflow/ask", {{"content_hash", saved.at("content_hash")}});
  EXPECT_EQ(engineer_->remove("/api/v1/workflows/ask").status, 204);
  expect_line("lee", "workflow.delete", "workflow/ask", {});
}

TEST_F(AuditedDb, WhatWasRefusedIsNotWrittenAsDone) {
  const std::int64_t before = services().audit().list("default", 0, 1).at(0).id;
  EXPECT_EQ(engineer_->remove("/api/v1/sources/nobody").status, 404);
  EXPECT_EQ(engineer_->post("/api/v1/runs", "{}").status, 400);
  EXPECT_EQ(services().audit().list("default", 0, 1).at(0).id, before);
}

}  // namespace
}  // namespace tests
