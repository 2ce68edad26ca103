// The real program anneal-agent against the server's own routes, a real database and real HTTP.
#include <signal.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "deploy/deployments.h"
#include "deploy/serving/prediction_ids.h"
#include "platform/base/error.h"
#include "platform/base/process.h"
#include "platform/http/client.h"
#include "platform/http/server.h"
#include "platform/security/authenticator.h"
#include "platform/store/blob_store.h"
#include "tests/deploy/support/tiny_adapter.h"
#include "tests/support/temp_database.h"
#include "web/api/deployments.h"

namespace {

namespace json = platform::json;
using namespace std::chrono_literals;
using platform::DeploymentState;

constexpr auto kDeadline = 60s;

class AgentPlant : public tests::TempDatabase {
 protected:
  void SetUp() override {
    TempDatabase::SetUp();
    store_ = std::make_unique<platform::DeploymentStore>(database());
    sources_ = std::make_unique<platform::SourceStore>(database());
    records_ = std::make_unique<platform::RecordStore>(database());
    blobs_ = std::make_unique<platform::BlobStore>(folder_.path() / "blobs");
    deployments_ = std::make_unique<deploy::Deployments>(
        *store_, *blobs_, deploy::SigningKeys::open(folder_.path() / "keys"), clock_, platform::Log::silent());
    tokens_ = std::make_unique<platform::TokenStore>(database());
    audit_ = std::make_unique<platform::AuditStore>(database());
    door_ = std::make_unique<platform::Authenticator>(*tokens_, *audit_, clock_, platform::Log::silent());
    platform::write_file_atomically(folder_.path() / "token", token("edge-01", platform::Role::kAgent) + "\n");
    start_server();
  }
  void TearDown() override {
    agent_.reset();
    server_.reset();
    if (HasFailure() && std::filesystem::exists(folder_.path() / "agent.log"))
      std::fputs(platform::read_file(folder_.path() / "agent.log").c_str(), stderr);
    records_.reset();
    TempDatabase::TearDown();
  }

  void start_server() {
    platform::RouteTable routes;
    web::DeploymentServices services{*store_, *deployments_, *sources_, *records_,
                                     [](deploy::DeploymentRequest&, const std::string&) {}};
    web::add_deployment_routes(routes, services);
    web::add_agent_routes(routes, services);
    routes.add({platform::Method::kGet, "/api/v1/artifacts/{digest}", "Downloads an artifact", "artifacts.read",
                [this](const platform::Request& request) {
                  ++downloads_;
                  const std::string& digest = request.param("digest");
                  if (const auto range = request.header("Range")) ranges_[digest] = *range;
                  if (digest == tampered_) return platform::text_response("evil bytes of another size");
                  return platform::file_response(blobs_->path_of(digest), "application/octet-stream", digest);
                }});
    platform::ServerOptions options;
    options.port = port_;
    server_ = std::make_unique<platform::Server>(
        options, std::move(routes),
        [this](const platform::Request& request, std::string_view permission) {
          return door_->authorize(platform::bearer_token(request), permission, request.path);
        },
        metrics_, platform::Log::silent());
    port_ = server_->port();
  }
  std::string token(const std::string& name, platform::Role role) {
    return door_->create("default", name, role, std::nullopt, "test");
  }
  platform::HttpClient as(const std::string& token) {
    platform::HttpClientOptions options;
    options.token = token;
    return platform::HttpClient("http://127.0.0.1:" + std::to_string(port_), options);
  }
  void start_agent(const std::vector<std::string>& more = {}) {
    std::filesystem::remove(agent_folder() / "agent-address");
    const char* bin = std::getenv("ANNEAL_BIN");
    platform::ProcessOptions options;
    options.log_file = folder_.path() / "agent.log";
    std::vector<std::string> command{std::string(bin == nullptr ? "build/dev/bin" : bin) + "/anneal-agent",
                                     "--server",
                                     "http://127.0.0.1:" + std::to_string(port_),
                                     "--name",
                                     "edge-01",
                                     "--labels",
                                     "line=3",
                                     "--data",
                                     agent_folder().string(),
                                     "--port",
                                     "0",
                                     "--poll-seconds",
                                     "0.05",
                                     "--threads",
                                     "1",
                                     "--root",
                                     (folder_.path() / "keys" / "root.json").string(),
                                     "--token-file",
                                     (folder_.path() / "token").string()};
    command.insert(command.end(), more.begin(), more.end());
    agent_ = std::make_unique<platform::Process>(command, options);
    ASSERT_TRUE(until([&] { return std::filesystem::exists(agent_folder() / "agent-address"); }))
        << "the agent does not start";
    std::string address = platform::read_file(agent_folder() / "agent-address");
    address.pop_back();
    client_ = std::make_unique<platform::HttpClient>(address);
  }
  void kill_agent() {
    agent_->signal(SIGKILL);
    agent_->wait();
    client_.reset();
  }
  bool until(const std::function<bool()>& holds, std::chrono::seconds limit = kDeadline) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < deadline) {
      if (holds()) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }
  platform::Deployment deploy_variant(const std::string& version, std::chrono::seconds soak = 0s) {
    deploy::DeploymentRequest request;
    request.model = "bearing";
    request.model_version = version;
    request.adapter =
        blobs_->put_folder(tests::TinyAdapter::instance().variant(folder_.path() / ("variant-" + version), version));
    request.base_folder = tests::TinyAdapter::instance().base();
    request.selector = "line=3";
    request.waves = {1.0};
    request.soak = soak;
    request.automatic_rollback = false;
    request.created_by = "kim";
    return deployments_->create(request);
  }
  void register_agent(const std::string& name) {
    platform::Agent agent;
    agent.name = name;
    agent.labels = {{"line", "3"}};
    store_->register_agent(agent);
  }
  void install(const std::string& version) {
    ASSERT_TRUE(until([&] { return store_->find_agent("default", "edge-01").has_value(); }));
    const auto deployment = deploy_variant(version);
    ASSERT_TRUE(until([&] { return state_of(deployment) == DeploymentState::kFinished; })) << "version " << version;
  }
  DeploymentState state_of(const platform::Deployment& deployment) { return store_->find_by_id(deployment.id)->state; }
  json::object ask(double torque) {
    const auto response = client_->post("/v1/predict", json::serialize(json::object{{"torque", torque}}));
    EXPECT_EQ(response.status, 200) << response.body;
    return response.json().as_object();
  }
  std::string saved_state() const {
    const json::value document = platform::read_json_file(agent_folder() / "state.json");
    return std::string(document.as_object().at("state").as_string());
  }
  std::filesystem::path agent_folder() const { return folder_.path() / "agent"; }
  std::int64_t feedback_records() {
    return sources_->find("default", "feedback-bearing") ? records_->count("default", "feedback-bearing") : 0;
  }

  platform::TemporaryFolder folder_;
  platform::SystemClock clock_;
  platform::Metrics metrics_;
  std::unique_ptr<platform::DeploymentStore> store_;
  std::unique_ptr<platform::SourceStore> sources_;
  std::unique_ptr<platform::RecordStore> records_;
  std::unique_ptr<platform::BlobStore> blobs_;
  std::unique_ptr<deploy::Deployments> deployments_;
  std::unique_ptr<platform::TokenStore> tokens_;
  std::unique_ptr<platform::AuditStore> audit_;
  std::unique_ptr<platform::Authenticator> door_;
  std::map<std::string, std::string> ranges_;  // digest -> Range header; one agent downloads one at a time
  std::unique_ptr<platform::Server> server_;
  std::uint16_t port_ = 0;
  std::unique_ptr<platform::Process> agent_;
  std::unique_ptr<platform::HttpClient> client_;
  std::atomic<int> downloads_{0};
  std::string tampered_;
};

class AgentEndToEnd : public AgentPlant {};
class AgentKill : public AgentPlant {};

TEST_F(AgentEndToEnd, InstallsAnswersAndSendsFeedbackHome) {
  start_agent();
  install("1");
  EXPECT_EQ(ask(25.5).at("label"), "hot");
  const auto answer = ask(-25.5);
  EXPECT_EQ(answer.at("model_version"), "1");
  client_->post("/v1/feedback", json::serialize(json::object{{"id", answer.at("id")}, {"label", "hot"}})).checked();
  ASSERT_TRUE(until([&] { return feedback_records() == 1; }));
  const auto record = records_->latest("default", "feedback-bearing", 1).front();
  EXPECT_EQ(record.fields.at("state"), "hot");
  EXPECT_EQ(record.fields.at("torque"), -25.5);
  EXPECT_EQ(record.fields.at("anneal.answer").as_object().at("label"), "cold");
  EXPECT_EQ(record.fields.at("anneal.agent"), "edge-01");
  client_->post("/v1/feedback", json::serialize(json::object{{"id", answer.at("id")}, {"label", "cold"}})).checked();
  ASSERT_TRUE(until([&] { return feedback_records() == 2; }));  // a correction is a record of its own
  ASSERT_TRUE(until([&] { return store_->find_agent("default", "edge-01")->model_version == "1"; }));
}

TEST_F(AgentEndToEnd, AnswersWhileTheServerIsGoneAlsoAfterARestart) {
  start_agent();
  install("1");
  const int downloads = downloads_;
  server_.reset();
  EXPECT_EQ(ask(25.5).at("label"), "hot");
  kill_agent();
  start_agent();
  const auto answer = ask(25.5);
  EXPECT_EQ(answer.at("label"), "hot");
  client_->post("/v1/feedback", json::serialize(json::object{{"id", answer.at("id")}, {"label", "hot"}})).checked();
  kill_agent();
  start_agent();
  start_server();
  ASSERT_TRUE(until([&] { return feedback_records() == 1; }));
  install("2");
  EXPECT_EQ(ask(25.5).at("model_version"), "2");
  EXPECT_EQ(downloads_, downloads + 1);  // only the new manifest; weights and base were here
}

TEST_F(AgentEndToEnd, GetsItsVersionAgainAfterAChangeOfItsDisk) {
  start_agent();
  install("1");
  const auto before = ask(25.5);
  kill_agent();
  std::filesystem::remove_all(agent_folder());
  start_agent();
  ASSERT_TRUE(until([&] { return client_->get("/readyz").status == 200; }));
  EXPECT_EQ(ask(25.5).at("model_version"), "1");
  const auto deployment = store_->list("default", 0, 1).front();
  EXPECT_TRUE(
      until([&] { return store_->agents_of(deployment.id).front().progress == platform::AgentProgress::kCommitted; }));
  EXPECT_EQ(state_of(deployment), DeploymentState::kFinished);
  client_->post("/v1/feedback", json::serialize(json::object{{"id", before.at("id")}, {"label", "hot"}})).checked();
}

TEST_F(AgentEndToEnd, DescribesItselfAgainToAServerThatHasForgottenIt) {
  start_agent();
  install("1");
  ASSERT_TRUE(until([&] { return store_->find_agent("default", "edge-01")->model_version == "1"; }));
  platform::Agent stale;
  stale.name = "edge-01";
  stale.labels = {{"line", "3"}};
  store_->register_agent(stale);  // as a server would know it that was restored from an older backup
  EXPECT_TRUE(until([&] { return store_->find_agent("default", "edge-01")->model_version == "1"; }));
}

TEST_F(AgentEndToEnd, RefusesATamperedBlobAndKeepsAnswering) {
  start_agent();
  install("1");
  tampered_ =
      platform::digest_of_file(tests::TinyAdapter::instance().variant(folder_.path() / "peek", "2") / "anneal.json");
  const auto bad = deploy_variant("2");
  ASSERT_EQ(bad.adapter_digest, tampered_);
  ASSERT_TRUE(until([&] { return state_of(bad) == DeploymentState::kPaused; }));
  EXPECT_NE(store_->agents_of(bad.id).front().reason.find("thrown away"), std::string::npos)
      << store_->agents_of(bad.id).front().reason;
  EXPECT_EQ(ask(25.5).at("model_version"), "1");
}

TEST_F(AgentEndToEnd, GoesOnWithADownloadWhereItStopped) {
  const auto weights = tests::TinyAdapter::instance().adapter() / "adapter_model.safetensors";
  const std::string bytes = platform::read_file(weights), digest = platform::digest_of(bytes);
  std::filesystem::create_directories(agent_folder() / "blobs");
  platform::write_file_atomically(agent_folder() / "blobs" / (digest.substr(7) + ".partial"), bytes.substr(0, 1000));
  start_agent();
  install("1");
  EXPECT_EQ(ranges_[digest], "bytes=1000-");
  EXPECT_EQ(ask(25.5).at("label"), "hot");
}

TEST_F(AgentEndToEnd, AnAgentsTokenSpeaksForThatAgentOnly) {
  start_agent();
  install("1");
  const auto deployment = store_->list("default", 0, 1).front();
  auto other = as(token("edge-02", platform::Role::kAgent));
  const std::string own = "/api/v1/agents/edge-02", foreign = "/api/v1/agents/edge-01";
  const std::string describe = R"({"mode":"replace","data":{"line":"4"}})";
  EXPECT_EQ(other.put(own + "/configData", describe).status, 200);
  EXPECT_EQ(other.put(foreign + "/configData", describe).status, 403);
  EXPECT_EQ(other.get(own).status, 200);
  EXPECT_EQ(other.get(foreign).status, 403);
  EXPECT_EQ(other.post(foreign + "/records", "[]").status, 403);
  EXPECT_EQ(other.get(foreign + "/deploymentBase/" + deployment.id.str()).status, 403);
  EXPECT_EQ(other.get(own + "/deploymentBase/" + deployment.id.str()).status, 410);  // not offered to it
  const std::string report =
      R"({"key":"k","status":{"execution":"closed","result":{"finished":"failure"}},"state":"idle","code":"failed"})";
  EXPECT_EQ(other.post(foreign + "/deploymentBase/" + deployment.id.str() + "/feedback", report).status, 403);
  EXPECT_EQ(other.get("/api/v1/deployments").status, 403);
  EXPECT_EQ(state_of(deployment), DeploymentState::kFinished);
  EXPECT_EQ(as("").get(own).status, 401);
}

TEST_F(AgentEndToEnd, TakesANewTokenUnderTheSameNameAfterALeak) {
  const std::string leaked = platform::read_file(folder_.path() / "token");
  door_->revoke("default", "edge-01", "kim");
  register_agent("edge-01");
  const auto deployment = deploy_variant("1");
  start_agent();
  ASSERT_TRUE(until([&] {
    return platform::read_file(folder_.path() / "agent.log").find("nothing comes from the server") != std::string::npos;
  }));
  platform::write_file_atomically(folder_.path() / "token", token("edge-01", platform::Role::kAgent));
  ASSERT_TRUE(until([&] { return state_of(deployment) == DeploymentState::kFinished; })) << "without a restart";
  EXPECT_EQ(as(leaked.substr(0, leaked.size() - 1)).get("/api/v1/agents/edge-01").status, 401);
}

TEST_F(AgentEndToEnd, InstallsACourierBundleThatTheServerDoesNotOffer) {
  register_agent("edge-09");
  const auto courier = deploy_variant("1");  // before edge-01 is known
  deployments_->export_bundle(courier, 24h, folder_.path() / "one.anneal");
  store_->move(courier.id, DeploymentState::kRunning, DeploymentState::kSuperseded, "kim", "for the courier only");
  start_agent({"--bundle", (folder_.path() / "one.anneal").string()});
  ASSERT_TRUE(until([&] {
    const auto agent = store_->find_agent("default", "edge-01");
    return agent && agent->model_version == "1";
  }));
  EXPECT_EQ(ask(25.5).at("label"), "hot");
  deploy_variant("2");  // edge-09 never reports, so only edge-01's answers are looked at
  ASSERT_TRUE(until([&] { return ask(25.5).at("model_version") == "2"; }));
  ASSERT_TRUE(until([&] { return saved_state() == "idle"; }));
  kill_agent();
  start_agent({"--bundle", (folder_.path() / "one.anneal").string()});  // now it is older
  const auto notice = [&] { return store_->find_agent("default", "edge-01")->notice; };
  ASSERT_TRUE(until([&] { return notice().find("older") != std::string::npos; })) << notice();
  EXPECT_EQ(ask(25.5).at("model_version"), "2");
  kill_agent();
  std::string bytes = platform::read_file(folder_.path() / "one.anneal");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  platform::write_file_atomically(folder_.path() / "two.anneal", bytes);
  start_agent({"--bundle", (folder_.path() / "two.anneal").string()});
  ASSERT_TRUE(until([&] { return notice().find("two.anneal") != std::string::npos; })) << notice();
  EXPECT_EQ(ask(25.5).at("model_version"), "2");
}

TEST_F(AgentEndToEnd, KeepsFeedbackUntilItsPredictionComes) {
  start_agent();
  install("1");
  // Another agent of the same server gave the answer, and is slower to tell.
  const std::string id = deploy::PredictionIds(platform::read_file(folder_.path() / "keys" / "root.json")).make();
  client_->post("/v1/feedback", json::serialize(json::object{{"id", id}, {"label", "hot"}})).checked();
  ASSERT_TRUE(until([&] { return store_->unmatched_counts("default")["edge-01"] == 1; }));
  auto edge = as(token("edge-02", platform::Role::kAgent));
  const json::object prediction{{"id", id},
                                {"at", "2026-03-01T08:00:00Z"},
                                {"model", "bearing"},
                                {"model_version", "1"},
                                {"adapter_digest", "sha256:x"},
                                {"fields", json::object{{"torque", 1.5}}},
                                {"answer", json::object{{"label", "cold"}}},
                                {"target", "state"}};
  edge.post("/api/v1/agents/edge-02/records",
            json::serialize(json::array{json::object{{"key", id}, {"kind", "prediction"}, {"body", prediction}}}))
      .checked();
  EXPECT_EQ(feedback_records(), 1);
  EXPECT_TRUE(store_->unmatched("default", {id}).empty());
  json::object poison = prediction;
  poison["fields"] = json::object{{"note", json::string("a\0b", 3)}};
  EXPECT_EQ(edge.post("/api/v1/agents/edge-02/records",
                      json::serialize(json::array{json::object{{"key", id}, {"kind", "prediction"}, {"body", poison}}}))
                .status,
            400);
}

TEST_F(AgentEndToEnd, ExportsABundleForThoseWhoDeployOnly) {
  register_agent("edge-09");
  const auto deployment = deploy_variant("1");
  const std::string path = "/api/v1/deployments/" + deployment.id.str() + "/bundle";
  auto viewer = as(token("lee", platform::Role::kViewer)), engineer = as(token("kim", platform::Role::kEngineer));
  EXPECT_EQ(viewer.post(path, "").status, 403);
  EXPECT_EQ(engineer.get(path).status, 405);
  EXPECT_EQ(engineer.post(path, R"({"valid_days":31})").status, 400);
  EXPECT_EQ(engineer.post(path, R"({"valid_days":7})").status, 200);
  deployments_->pause(deployment, "kim", "why");
  EXPECT_EQ(engineer.post(path, "").status, 409);
  deployments_->roll_back(*store_->find_by_id(deployment.id), "kim", "why");
  EXPECT_EQ(engineer.post(path, "").status, 409);
}

// The agent is killed again and again while it is at work; each time what is left must answer with the old or the new
// version.
TEST_F(AgentKill, EndsInThePreviousOrTheNewVersionAndLosesNoFeedback) {
  constexpr int kKills = 12;
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  start_agent();
  install("1");
  std::string before = "1";
  int hits = 0, acknowledged = 0;
  for (int round = 2; hits < kKills && round < 60; ++round) {
    const std::string fresh = std::to_string(round);
    const auto deployment = deploy_variant(fresh, 1s);
    const auto begun = std::chrono::steady_clock::now();
    const auto delay = std::chrono::microseconds(std::uniform_int_distribution<int>(0, 250'000)(random));
    ASSERT_TRUE(until([&] { return saved_state() != "idle"; }));
    until([&] { return std::chrono::steady_clock::now() - begun > delay; });
    kill_agent();
    const bool hit = saved_state() != "idle";
    hits += hit;

    start_agent();
    const auto answer = ask(25.5);
    const std::string now(answer.at("model_version").as_string());
    EXPECT_TRUE(now == before || now == fresh) << now << " after a kill between " << before << " and " << fresh;
    const auto kept =
        client_->post("/v1/feedback", json::serialize(json::object{{"id", answer.at("id")}, {"label", "hot"}}));
    acknowledged += kept.status == 202;
    ASSERT_TRUE(until([&] { return state_of(deployment) != DeploymentState::kRunning; }))
        << "version " << fresh << " never settles";
    EXPECT_EQ(state_of(deployment), DeploymentState::kFinished) << store_->agents_of(deployment.id).front().reason;
    EXPECT_EQ(ask(25.5).at("model_version"), json::string(fresh));
    before = fresh;
  }
  EXPECT_GE(hits, kKills);
  EXPECT_TRUE(until([&] { return feedback_records() == acknowledged; }))
      << feedback_records() << " of " << acknowledged;
}

}  // namespace
