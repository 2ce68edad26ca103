// The REST resources `deployments` and `agents`. The first is for people: create, list, show with every agent's state,
// pause, resume, roll back, export as a courier file. The second is for plant agents and has the shape of hawkBit's
// DDI: poll, fetch what is offered, report, and hand in predictions and feedback. Handlers are thread-safe as the
// stores are.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "deploy/deployments.h"
#include "platform/base/data_folder.h"
#include "platform/http/router.h"
#include "platform/store/deployment_store.h"
#include "platform/store/record_store.h"
#include "platform/store/source_store.h"

namespace web {

/// Fills model_version, adapter and base_folder of a request from the registry: `version` is a number or an alias.
/// Throws kNotFound.
using ResolveModelVersion = std::function<void(deploy::DeploymentRequest& request, const std::string& version)>;

/// What the routes use; all outlive the table.
struct DeploymentServices {
  platform::DeploymentStore& store;
  deploy::Deployments& deployments;
  platform::SourceStore& sources;
  platform::RecordStore& records;
  ResolveModelVersion resolve;
  std::chrono::seconds poll{10};  // what DDI clients are told to wait; anneal-agent keeps to its own --poll-seconds
  std::chrono::seconds timestamp_valid{std::chrono::hours(1)};
};

void add_deployment_routes(platform::RouteTable& table, DeploymentServices services);
void add_agent_routes(platform::RouteTable& table, DeploymentServices services);

/// Shared by both files.
platform::json::object to_json(const platform::Deployment& deployment);
platform::json::object to_json(const platform::Agent& agent);

}  // namespace web
