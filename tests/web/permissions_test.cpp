// Who may ask what, written out by hand and asked of the whole server: a mistake in the server's own tables cannot hide
// behind itself here.
#include <algorithm>
#include <map>

#include "platform/base/digest.h"
#include "platform/engine/run_control.h"
#include "tests/web/whole_server.h"

namespace tests {
namespace {

namespace json = platform::json;
using platform::Method;
using platform::Role;

constexpr const char* kReaders = "admin approver auditor engineer operator viewer";
constexpr const char* kEngineers = "admin engineer";
constexpr const char* kAgents = "admin agent";

// "METHOD pattern" -> the roles that may. "public": also without a token.
const std::map<std::string, std::string> kMay{
    {"GET /", "public"},
    {"GET /healthz", "public"},
    {"GET /readyz", "public"},
    {"GET /openapi.json", "public"},
    {"GET /metrics", kReaders},
    {"GET /api/v1/agents", kReaders},
    {"GET /api/v1/agents/{name}", kAgents},
    {"PUT /api/v1/agents/{name}/configData", kAgents},
    {"GET /api/v1/agents/{name}/deploymentBase/{id}", kAgents},
    {"POST /api/v1/agents/{name}/deploymentBase/{id}/feedback", kAgents},
    {"POST /api/v1/agents/{name}/records", kAgents},
    {"GET /api/v1/artifacts/{digest}", "admin agent approver auditor engineer operator viewer"},
    {"GET /api/v1/audit", "admin auditor"},
    {"GET /api/v1/audit/verify", "admin auditor"},
    {"GET /api/v1/datasets", kReaders},
    {"GET /api/v1/datasets/{name}/versions", kReaders},
    {"GET /api/v1/datasets/{name}/versions/{version}", kReaders},
    {"GET /api/v1/datasets/{name}/versions/{version}/examples", kReaders},
    {"GET /api/v1/deployments", kReaders},
    {"POST /api/v1/deployments", kEngineers},
    {"GET /api/v1/deployments/{id}", kReaders},
    {"POST /api/v1/deployments/{id}/bundle", kEngineers},
    {"POST /api/v1/deployments/{id}/pause", kEngineers},
    {"POST /api/v1/deployments/{id}/resume", kEngineers},
    {"POST /api/v1/deployments/{id}/rollback", kEngineers},
    {"GET /api/v1/models", kReaders},
    {"GET /api/v1/models/{name}", kReaders},
    {"GET /api/v1/models/{name}/aliases", kReaders},
    {"GET /api/v1/models/{name}/aliases/{alias}", kReaders},
    {"PUT /api/v1/models/{name}/aliases/{alias}", kEngineers},
    {"POST /api/v1/models/{name}/aliases/{alias}/rollback", kEngineers},
    {"GET /api/v1/models/{name}/history", kReaders},
    {"GET /api/v1/models/{name}/versions", kReaders},
    {"GET /api/v1/models/{name}/versions/{version}", kReaders},
    {"GET /api/v1/models/{name}/versions/{version}/lineage", kReaders},
    {"GET /api/v1/roles", "admin auditor"},
    {"GET /api/v1/runs", kReaders},
    {"POST /api/v1/runs", kEngineers},
    {"GET /api/v1/runs/{id}", kReaders},
    {"POST /api/v1/runs/{id}/cancel", kEngineers},
    {"GET /api/v1/runs/{id}/events", kReaders},
    {"GET /api/v1/runs/{id}/log", kReaders},
    {"GET /api/v1/runs/{id}/metrics", kReaders},
    {"POST /api/v1/runs/{id}/retry", kEngineers},
    {"POST /api/v1/runs/{id}/steps/{step}/approve", "admin approver engineer"},
    {"POST /api/v1/runs/{id}/steps/{step}/reject", "admin approver engineer"},
    {"GET /api/v1/sources", kReaders},
    {"POST /api/v1/sources", kEngineers},
    {"GET /api/v1/sources/{name}", kReaders},
    {"DELETE /api/v1/sources/{name}", kEngineers},
    {"POST /api/v1/sources/{name}/check", kEngineers},
    {"POST /api/v1/sources/{name}/discover", kEngineers},
    {"GET /api/v1/sources/{name}/gaps", kReaders},
    {"GET /api/v1/sources/{name}/records", kReaders},
    {"POST /api/v1/sources/{name}/records", "admin engineer operator"},
    {"POST /api/v1/sources/{name}/start", kEngineers},
    {"POST /api/v1/sources/{name}/stop", kEngineers},
    {"GET /api/v1/tokens", "admin auditor"},
    {"POST /api/v1/tokens", "admin"},
    {"DELETE /api/v1/tokens/{name}", "admin"},
    {"GET /api/v1/workflows", kReaders},
    {"POST /api/v1/workflows", kEngineers},
    {"GET /api/v1/workflows/{name}", kReaders},
    {"DELETE /api/v1/workflows/{name}", kEngineers},
    {"POST /api/v1/workflows/validate", kReaders},
};

struct Asked {
  Method method = Method::kGet;
  std::string pattern;
};

Asked asked(const std::string& row) {
  const std::size_t blank = row.find(' ');
  return {platform::method_from(row.substr(0, blank)).value(), row.substr(blank + 1)};
}

// The pattern with a value for each {name}.
std::string filled(std::string pattern, const std::map<std::string, std::string>& values) {
  for (std::size_t open = pattern.find('{'); open != std::string::npos; open = pattern.find('{'))
    pattern.replace(open, pattern.find('}') - open + 1,
                    values.at(pattern.substr(open + 1, pattern.find('}') - open - 1)));
  return pattern;
}

bool names(const std::string& roles, std::string_view role) {
  return (" " + roles + " ").find(" " + std::string(role) + " ") != std::string::npos;
}

class PermissionsDb : public WholeServer {
 protected:
  /// Things of project `default` to ask about, made once; each is called `ours`.
  static const std::map<std::string, std::string>& ours() {
    static const std::map<std::string, std::string> made = make_ours();
    return made;
  }

 private:
  static std::map<std::string, std::string> make_ours() {
    platform::Source source;
    source.name = "ours";
    source.connector = "rest_push";
    services().sources().create(source);
    platform::DatasetVersion dataset;
    dataset.dataset = "ours";
    dataset.content_hash = platform::digest_of("ours");
    dataset.blob = services().blobs().put("the examples of ours");
    services().datasets().add_version(dataset);
    platform::ModelVersion model;
    model.model = "ours";
    model.base = "anneal-nano";
    model.base_digest = platform::digest_of("base");
    model.adapter_blob = platform::digest_of("adapter of ours");
    model.adapter_digest = platform::digest_of("adapter");
    model.gate = json::object{{"passed", true}};
    services().registry().register_version(model);
    services().registry().set_alias("default", "ours", "ours", 1, "test", "for the test");
    platform::Run run;
    run.id = platform::RunId::make();
    run.workflow = "ours";
    run.started_by = "test";
    platform::RunStep step;
    step.definition.name = "ours";
    step.definition.kind = "approval";
    run.steps.push_back(step);
    platform::start_run(services().runs(), run);
    platform::Deployment deployment;
    deployment.id = platform::DeploymentId::make();
    deployment.number = services().deployment_store().next_number();
    deployment.model = "ours";
    deployment.model_version = "1";
    deployment.selector = "line=ours";
    deployment.targets = "{}";
    services().deployment_store().create(deployment, {});
    platform::Agent agent;
    agent.name = "ours";
    services().deployment_store().register_agent(agent);
    services().runs().save_workflow(
        {"default", "ours", "sha256:ours", "name: ours\nsteps:\n  a: {uses: approval}\n", "test", {}});
    services().authenticator().create("default", "ours", Role::kViewer, std::nullopt, "test");
    return {{"name", "ours"},
            {"version", "1"},
            {"alias", "ours"},
            {"step", "ours"},
            {"run", run.id.str()},
            {"digest", dataset.blob},
            {"deployment", deployment.id.str()}};
  }
};

TEST_F(PermissionsDb, EveryRouteIsInTheTableOfThisTest) {
  const platform::RouteTable routes = web::all_routes(services());
  std::map<std::string, std::string> left = kMay;
  for (const platform::Route& route : routes.routes()) {
    const std::string row = std::string(platform::to_string(route.method)) + " " + route.pattern;
    EXPECT_EQ(left.erase(row), 1u) << row << " is not in the table; say who may";
  }
  for (const auto& [row, roles] : left) ADD_FAILURE() << "the server does not have " << row;
}

TEST_F(PermissionsDb, AnswersWithoutATokenOnPublicRoutesOnly) {
  for (const std::string& token : {std::string(), std::string("anneal_wrong")}) {
    auto asking = client_with(token);
    for (const auto& [row, roles] : kMay) {
      const auto [method, pattern] = asked(row);
      const int status =
          asking
              .request(
                  method,
                  filled(
                      pattern,
                      {{"name", "x"}, {"id", "x"}, {"digest", "x"}, {"version", "1"}, {"alias", "x"}, {"step", "x"}}),
                  "", "", {})
              .status;
      if (roles == "public")
        EXPECT_EQ(status, 200) << row;
      else
        EXPECT_EQ(status, 401) << row;
    }
  }
}

TEST_F(PermissionsDb, EveryRoleDoesWhatTheTableSaysAndNoMore) {
  // Nothing is called by these names, and nothing can be made of an empty body: asking does no harm.
  const std::map<std::string, std::string> nothing{{"id", platform::RunId::make().str()},
                                                   {"digest", platform::digest_of("nothing")},
                                                   {"version", "1"},
                                                   {"alias", "nothing"},
                                                   {"step", "nothing"}};
  for (const Role role : platform::all_roles()) {
    const std::string name = "as-" + std::string(platform::to_string(role));
    auto asking = client(role, name);
    for (const auto& [row, roles] : kMay) {
      const auto [method, pattern] = asked(row);
      auto values = nothing;
      values["name"] = pattern.starts_with("/api/v1/agents/") ? name : "nothing";  // a token of an agent speaks for it
      const auto answer = asking.request(method, filled(pattern, values), "", "", {});
      const bool may = roles == "public" || names(roles, platform::to_string(role));
      EXPECT_EQ(answer.status == 403, !may)
          << platform::to_string(role) << ": " << row << " gave " << answer.status << " " << answer.body.substr(0, 200);
      EXPECT_NE(answer.status, 401) << row;
      EXPECT_LT(answer.status, 500) << row << answer.body;
    }
  }
}

TEST_F(PermissionsDb, NothingOfAProjectIsSeenOrChangedFromAnotherOne) {
  // Bodies that would be taken if the thing were there, and answers that are not 404 for a reason.
  const std::map<std::string, std::string> bodies{
      {"PUT /api/v1/models/{name}/aliases/{alias}", R"({"version":1,"reason":"x"})"},
      {"POST /api/v1/models/{name}/aliases/{alias}/rollback", R"({"reason":"x"})"},
      {"POST /api/v1/agents/{name}/records", "[]"},
      {"PUT /api/v1/agents/{name}/configData", R"({"data":{}})"}};
  const std::map<std::string, int> others{{"GET /api/v1/agents/{name}/deploymentBase/{id}", 410},
                                          {"POST /api/v1/agents/{name}/deploymentBase/{id}/feedback", 410},
                                          {"POST /api/v1/agents/{name}/records", 200},     // its own, of no prediction
                                          {"PUT /api/v1/agents/{name}/configData", 200}};  // an agent of its own
  ours();
  for (const Role role : {Role::kAdmin, Role::kEngineer, Role::kAgent}) {
    auto stranger =
        client(role, role == Role::kAgent ? "ours" : "stranger-" + std::string(platform::to_string(role)), "other");
    for (const auto& [row, roles] : kMay) {
      const auto [method, pattern] = asked(row);
      if (pattern.find('{') == std::string::npos || !names(roles, platform::to_string(role))) continue;
      auto values = ours();
      values["id"] = values.at(pattern.find("/runs/") != std::string::npos ? "run" : "deployment");
      const auto body = bodies.find(row);
      if (row.starts_with("PUT /api/v1/agents/")) values["name"] = "theirs";
      if (row.starts_with("PUT /api/v1/agents/") && role == Role::kAgent) continue;  // speaks for itself only
      const auto answer = stranger.request(method, filled(pattern, values), body == bodies.end() ? "" : body->second,
                                           "application/json", {});
      const auto expected = others.find(row);
      EXPECT_EQ(answer.status, expected == others.end() ? 404 : expected->second)
          << platform::to_string(role) << ": " << row << " gave " << answer.body.substr(0, 300);
    }
  }
}

TEST_F(PermissionsDb, NoListShowsAnythingOfAnotherProject) {
  ours();
  auto ally = client(Role::kAdmin, "ally");
  auto stranger = client(Role::kAdmin, "stranger", "empty");
  int lists = 0;
  for (const auto& [row, roles] : kMay) {
    const auto [method, pattern] = asked(row);
    if (method != Method::kGet || pattern.find('{') != std::string::npos || !pattern.starts_with("/api/v1/") ||
        pattern.ends_with("/roles") || pattern.ends_with("/verify"))
      continue;
    if (!pattern.ends_with("/audit")) {
      EXPECT_NE(ally.get(pattern).checked().body.find("\"ours\""), std::string::npos) << pattern;
    }
    EXPECT_EQ(stranger.get(pattern).checked().body.find("ours\""), std::string::npos) << pattern;
    ++lists;
  }
  EXPECT_EQ(lists, 9);
}

}  // namespace
}  // namespace tests
