#include "web/api/routes.h"

#include "platform/base/digest.h"
#include "tests/web/whole_server.h"

namespace tests {
namespace {

namespace json = platform::json;
using platform::Role;

class WebServerDb : public WholeServer {
 protected:
  static platform::HttpClient admin() { return client_with(*services().admin_token().made); }
};

TEST_F(WebServerDb, ServesThePageReadinessAndTheDescriptionOfEveryRoute) {
  auto asking = client_with("");
  EXPECT_NE(asking.get("/").checked().body.find("<title>Anneal</title>"), std::string::npos);
  EXPECT_EQ(asking.get("/readyz").status, 200);
  const auto paths = asking.get("/openapi.json").json().at("paths").as_object();
  const platform::RouteTable routes = web::all_routes(services());
  for (const platform::Route& route : routes.routes()) EXPECT_TRUE(paths.contains(route.pattern)) << route.pattern;
}

TEST_F(WebServerDb, NoSourceReadsTheAdminTokenOrAnythingElseOutsideTheInbox) {
  auto engineer = client(Role::kEngineer, "reader");
  const auto create = [&](const std::string& name, const std::filesystem::path& path) {
    return engineer.post(
        "/api/v1/sources",
        json::serialize(json::object{{"name", name}, {"connector", "file"}, {"settings", {{"path", path.string()}}}}));
  };
  const std::filesystem::path data = services().data().root;
  for (const std::filesystem::path& secret :
       {data / "admin-token", data / "keys", data / "inbox/../admin-token", std::filesystem::path("/etc/passwd")})
    EXPECT_EQ(create("secret", secret).status, 403) << secret;
  EXPECT_EQ(create("open", data / "inbox/parts.csv").status, 201);
  platform::Source old;
  old.name = "made-by-an-older-program";
  old.connector = "file";
  old.settings = {{"path", services().data().token().string()}};
  services().sources().create(old);
  for (const std::string action : {"start", "check", "discover"})
    EXPECT_EQ(engineer.post("/api/v1/sources/" + old.name + "/" + action, "").status, 403) << action;
}

TEST_F(WebServerDb, ListsOfNamesGoOnWithTheRestOfTheQuery) {
  for (const char* name : {"page-a", "page-b"}) {
    platform::Source source;
    source.project = "paged";
    source.name = name;
    source.connector = "rest_push";
    services().sources().create(source);
  }
  auto asking = client(Role::kViewer, "reader", "paged");
  const json::value first = asking.get("/api/v1/sources?limit=1").checked().json();
  EXPECT_EQ(first.at("next"), "after=page-a");
  const json::value rest =
      asking.get("/api/v1/sources?limit=2&" + std::string(first.at("next").as_string())).checked().json();
  EXPECT_EQ(rest.at("items").at(0).at("name"), "page-b");
  EXPECT_FALSE(rest.as_object().contains("next"));
}

TEST_F(WebServerDb, SendsTheRestOfAnArtifact) {
  platform::DatasetVersion version;
  version.dataset = "ranged";
  version.content_hash = platform::digest_of("0123456789");
  version.blob = services().blobs().put("0123456789");
  services().datasets().add_version(version);
  auto asking = admin();
  EXPECT_EQ(asking.get("/api/v1/artifacts/" + version.blob, {{"Range", "bytes=4-"}}).checked().body, "456789");
  EXPECT_EQ(asking.get("/api/v1/artifacts/sha256:zz").status, 400);
}

TEST_F(WebServerDb, AnArtifactIsGivenToItsProjectOnly) {
  const std::filesystem::path folder = services().data().root / "adapter";
  std::filesystem::create_directories(folder);
  platform::write_file_atomically(folder / "anneal.json", "the manifest");
  platform::ModelVersion version;
  version.model = "owned";
  version.base = "anneal-nano";
  version.base_digest = platform::digest_of("base");
  version.adapter_blob = services().blobs().put_folder(folder);
  version.adapter_digest = platform::digest_of("the manifest");
  services().registry().register_version(version);
  const std::string stray = services().blobs().put("a checkpoint that no row names");
  auto engineer = client(Role::kEngineer, "owner");
  auto stranger = client(Role::kAdmin, "owner-elsewhere", "other");
  for (const std::string& digest : {version.adapter_blob, platform::digest_of("the manifest")}) {
    EXPECT_EQ(engineer.get("/api/v1/artifacts/" + digest).status, 200) << digest;
    EXPECT_EQ(stranger.get("/api/v1/artifacts/" + digest).status, 404) << digest;
  }
  EXPECT_EQ(engineer.get("/api/v1/artifacts/" + stray).status, 404);
}

TEST_F(WebServerDb, AnAgentDownloadsWhatIsOfferedToItAndNothingElse) {
  const std::string offered = services().blobs().put("weights for press-7"), other = services().blobs().put("other");
  platform::Agent agent;
  agent.name = "press-7";
  services().deployment_store().register_agent(agent);
  platform::Deployment deployment;
  deployment.id = platform::DeploymentId::make();
  deployment.number = services().deployment_store().next_number();
  deployment.model = "owned";
  deployment.model_version = "1";
  deployment.selector = "*";
  deployment.targets = R"({"payload":"{\"files\":{\"x\":{\"digest\":\")" + offered + R"(\"}}}"})";
  platform::DeploymentAgent member;
  member.agent = "press-7";
  services().deployment_store().create(deployment, {member});
  platform::DatasetVersion version;
  version.dataset = "not-for-agents";
  version.content_hash = platform::digest_of("other");
  version.blob = other;
  services().datasets().add_version(version);
  auto press = client(Role::kAgent, "press-7");
  EXPECT_EQ(press.get("/api/v1/artifacts/" + offered).status, 404) << "its wave has not begun";
  services().deployment_store().offer(deployment.id, {"press-7"});
  EXPECT_EQ(press.get("/api/v1/artifacts/" + offered).checked().body, "weights for press-7");
  EXPECT_EQ(press.get("/api/v1/artifacts/" + other).status, 404);
  EXPECT_EQ(client(Role::kAgent, "press-8").get("/api/v1/artifacts/" + offered).status, 404);
}

TEST_F(WebServerDb, StartsWhatWasRunningInEveryProjectHoweverManySourcesThereAre) {
  platform::transact(services().database(), [](pqxx::work& work) {
    work.exec0(
        "INSERT INTO sources (project_id, name, connector) SELECT 'other', 'a-' || n, 'rest_push' FROM "
        "generate_series(1, 1200) n");
  });
  platform::Source last;
  last.project = "other";
  last.name = "z-last";
  last.connector = "file";
  last.settings = {{"path", (services().data().root / "inbox/later.csv").string()}};
  last.state = "running";
  services().sources().create(last);
  web::Services again({services().data(), "", {}}, platform::Log::silent());
  EXPECT_TRUE(again.supervisor().status("other/z-last").has_value());
}

}  // namespace
}  // namespace tests
