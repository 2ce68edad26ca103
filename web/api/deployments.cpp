#include "web/api/deployments.h"

#include <memory>
#include <utility>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "web/api/project_of.h"
#include "web/api/resource.h"

namespace web {

namespace json = platform::json;
using platform::Deployment;
using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Request;
using platform::Response;

json::object to_json(const Deployment& deployment) {
  json::array waves;
  for (const double wave : deployment.waves) waves.push_back(wave);
  json::object object{{"id", deployment.id.str()},
                      {"number", deployment.number},
                      {"model", deployment.model},
                      {"model_version", deployment.model_version},
                      {"adapter_digest", deployment.adapter_digest},
                      {"base_digest", deployment.base_digest},
                      {"selector", deployment.selector},
                      {"waves", std::move(waves)},
                      {"soak_seconds", deployment.soak.count()},
                      {"failure_threshold", deployment.failure_threshold},
                      {"automatic_rollback", deployment.automatic_rollback},
                      {"state", platform::to_string(deployment.state)},
                      {"reason", deployment.reason},
                      {"created_by", deployment.created_by},
                      {"created_at", platform::format_time(deployment.created_at)}};
  if (deployment.undoes) object["undoes"] = deployment.undoes->str();
  return object;
}

namespace {

constexpr std::int64_t kMostBundleDays = 30;  // a bundle that was lost or left lying must run out

class DeploymentRoutes {
 public:
  explicit DeploymentRoutes(DeploymentServices services) : services_(std::move(services)) {}

  Response create(const Request& request) const {
    const json::object body = body_of(request);
    platform::refuse_unknown_keys(
        body, {"model", "version", "to", "waves", "soak_seconds", "failure_threshold", "automatic_rollback"}, "");
    deploy::DeploymentRequest wanted;
    wanted.project = project_of(request);
    wanted.model = platform::require_string(body, "model", "");
    wanted.selector = platform::string_or(body, "to", wanted.selector, "");
    wanted.soak = std::chrono::seconds(platform::int_or(body, "soak_seconds", wanted.soak.count(), ""));
    wanted.failure_threshold = platform::number_or(body, "failure_threshold", wanted.failure_threshold, "");
    wanted.automatic_rollback = platform::bool_or(body, "automatic_rollback", wanted.automatic_rollback, "");
    wanted.created_by = request.identity.name;
    if (const json::value* waves = platform::find(body, "waves")) {
      wanted.waves.clear();
      for (const json::value& wave : platform::as_array(*waves, "waves")) {
        if (!wave.is_number()) throw Error(ErrorCode::kInvalidInput, "a wave is a share such as 0.1", "waves");
        wanted.waves.push_back(wave.to_number<double>());
      }
    }
    wanted.validate();
    services_.resolve(wanted, platform::string_or(body, "version", "production", ""));
    return platform::json_response(to_json(services_.deployments.create(wanted)), 201);
  }

  Response list(const Request& request) const {
    const std::int64_t limit = request.query_int("limit", 50, 1, 500);
    const auto found = services_.store.list(project_of(request), request.query_int("before", 0, 0, INT64_MAX), limit);
    json::array items;
    for (const Deployment& deployment : found) items.push_back(to_json(deployment));
    return platform::json_response(
        page(std::move(items), limit, "before", found.empty() ? "" : std::to_string(found.back().number)));
  }

  Response show(const Request& request) const { return platform::json_response(whole(require(request))); }

  Response pause(const Request& request) const {
    services_.deployments.pause(require(request), request.identity.name,
                                platform::string_or(body_of(request), "reason", "paused by hand", ""));
    return show(request);
  }

  Response resume(const Request& request) const {
    services_.deployments.resume(require(request), request.identity.name);
    return show(request);
  }

  Response roll_back(const Request& request) const {
    const auto back =
        services_.deployments.roll_back(require(request), request.identity.name,
                                        platform::string_or(body_of(request), "reason", "rolled back by hand", ""));
    json::object body = whole(require(request));
    body["undone_by"] = back ? json::value(back->id.str()) : json::value();
    return platform::json_response(body);
  }

  // A fresh signature under what was decided before: not for what was taken back. The file lives as long as the answer
  // is being sent.
  Response bundle(const Request& request) const {
    const Deployment deployment = require(request);
    if (deployment.state != platform::DeploymentState::kRunning &&
        deployment.state != platform::DeploymentState::kFinished)
      throw Error(ErrorCode::kConflict, "deployment " + std::to_string(deployment.number) + " is " +
                                            std::string(platform::to_string(deployment.state)) +
                                            "; only a running or finished one is exported");
    const json::object body = request.body.empty() ? json::object() : body_of(request);
    platform::refuse_unknown_keys(body, {"valid_days"}, "");
    const std::int64_t days = platform::int_or(body, "valid_days", kMostBundleDays, "");
    if (days < 1 || days > kMostBundleDays)
      throw Error(ErrorCode::kInvalidInput, "valid_days lies between 1 and 30, not " + std::to_string(days),
                  "valid_days");
    const std::chrono::hours valid(24 * days);
    auto folder = std::make_shared<platform::TemporaryFolder>();
    const auto file = folder->path() / "bundle.anneal";
    services_.deployments.export_bundle(deployment, valid, file);
    Response response;
    response.headers["Content-Type"] = "application/octet-stream";
    response.headers["Content-Disposition"] =
        "attachment; filename=\"" + deployment.model + "-" + std::to_string(deployment.number) + ".anneal\"";
    response.body = platform::StreamBody{[folder, file](platform::EventSink& sink) {
      constexpr std::size_t kPiece = std::size_t{1} << 20;
      std::string piece(kPiece, '\0');
      std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(file.c_str(), "rb"), std::fclose);
      for (std::size_t got = 0; in && (got = std::fread(piece.data(), 1, piece.size(), in.get())) > 0;)
        if (!sink.write({piece.data(), got})) return;
    }};
    return response;
  }

 private:
  Deployment require(const Request& request) const {
    auto deployment = services_.store.find(project_of(request), request.param("id"));
    if (!deployment)
      throw Error(ErrorCode::kNotFound,
                  "there is no deployment '" + request.param("id") + "'; GET /api/v1/deployments lists them", "id");
    return *std::move(deployment);
  }

  json::object whole(const Deployment& deployment) const {
    json::object body = to_json(deployment);
    json::array agents, history;
    for (const auto& agent : services_.store.agents_of(deployment.id))
      agents.push_back(json::object{{"agent", agent.agent},
                                    {"wave", agent.wave + 1},
                                    {"progress", platform::to_string(agent.progress)},
                                    {"state", agent.state},
                                    {"reason", agent.reason},
                                    {"attempts", agent.attempts},
                                    {"updated_at", platform::format_time(agent.updated_at)}});
    for (const auto& event : services_.store.history(deployment.id))
      history.push_back(json::object{{"at", platform::format_time(event.at)},
                                     {"actor", event.actor},
                                     {"what", event.what},
                                     {"detail", event.detail}});
    body["agents"] = std::move(agents);
    body["history"] = std::move(history);
    return body;
  }

  DeploymentServices services_;
};

}  // namespace

void add_deployment_routes(platform::RouteTable& table, DeploymentServices services) {
  const Handlers<DeploymentRoutes> bind(std::move(services));
  const std::string all = "/api/v1/deployments", one = all + "/{id}";
  table.add({Method::kPost, all, "Signs a bundle of a model version and begins its rollout", "deployments.write",
             bind(&DeploymentRoutes::create)});
  table.add({Method::kGet, all, "Lists deployments, newest first", "deployments.read", bind(&DeploymentRoutes::list)});
  table.add({Method::kGet, one, "Shows a deployment with every agent's state and its history", "deployments.read",
             bind(&DeploymentRoutes::show)});
  table.add({Method::kPost, one + "/pause", "Offers it to no further agent", "deployments.write",
             bind(&DeploymentRoutes::pause)});
  table.add({Method::kPost, one + "/resume", "Goes on; agents that failed are offered it again", "deployments.write",
             bind(&DeploymentRoutes::resume)});
  table.add({Method::kPost, one + "/rollback", "Brings the version before it back", "deployments.write",
             bind(&DeploymentRoutes::roll_back)});
  table.add({Method::kPost, one + "/bundle", "Signs the bundle as one file for plants without a network",
             "deployments.write", bind(&DeploymentRoutes::bundle)});
}

}  // namespace web
