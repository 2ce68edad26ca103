#include "web/api/routes.h"

#include "deploy/model_release.h"
#include "web/api/audited.h"
#include "web/api/datasets.h"
#include "web/api/deployments.h"
#include "web/api/models.h"
#include "web/api/runs.h"
#include "web/api/sources.h"
#include "web/api/users.h"
#include "web/api/workflows.h"

namespace web {

using platform::Method;
using platform::Request;

void add_system_routes(platform::RouteTable& routes, Services& services) {
  platform::Route healthz{Method::kGet, "/healthz", "Says that the process answers", "", [](const Request&) {
                            return platform::json_response({{"status", "ok"}, {"version", kVersion}});
                          }};
  healthz.direct = true;  // also while the database holds every handler up
  routes.add(std::move(healthz));
  routes.add({Method::kGet, "/readyz", "Says whether the database can be reached", "", [&services](const Request&) {
                services.database().check();
                return platform::json_response({{"status", "ready"}});
              }});
  routes.add({Method::kGet, "/metrics", "Counters and timings as Prometheus text", "metrics.read",
              [&services](const Request&) {
                return platform::text_response(services.metrics().text(), "text/plain; version=0.0.4");
              }});
  // The document describes itself as well, so it is made once all rows stand.
  auto document = std::make_shared<std::string>();  // shared: the handler outlives this function
  routes.add({Method::kGet, "/openapi.json", "This description of every route", "",
              [document](const Request&) { return platform::text_response(*document, "application/json"); }});
  *document = platform::json::serialize(routes.openapi("Anneal", kVersion));
}

platform::RouteTable all_routes(Services& services) {
  platform::RouteTable routes;
  const DeploymentServices rollouts{
      services.deployment_store(), services.deployments(), services.sources(), services.records(),
      [&services](deploy::DeploymentRequest& request, const std::string& version) {
        deploy::fill_from_registry(request, version, services.registry(), services.data());
      }};
  add_agent_routes(routes, rollouts);
  add_artifacts_routes(routes, services);
  add_dataset_routes(routes, {services.datasets(), services.blobs()});
  add_deployment_routes(routes, rollouts);
  add_model_routes(routes, {services.models(), services.registry(), services.audit()});
  add_page_routes(routes, services);
  add_run_routes(routes, {services.runs(), services.sources(), services.files()});
  add_source_routes(routes,
                    {services.sources(), services.records(), services.supervisor(), services.data(), services.files()});
  add_user_routes(routes, {services.authenticator(), services.audit()});
  add_workflow_routes(routes, {services.runs()});
  add_system_routes(routes, services);
  return audited(routes, services.audit());
}

}  // namespace web
