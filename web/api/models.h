// The REST resource `models`: models, their immutable versions with evaluation, gate and lineage, and the aliases:
// where they stand, where they stood at any moment, who moved them and why, and moving them through the registry's
// rules. Handlers are thread-safe as the stores are.
#pragma once

#include "platform/http/router.h"
#include "platform/registry/model_registry.h"
#include "platform/store/audit_store.h"
#include "platform/store/model_store.h"

namespace web {

/// What the routes use; all outlive the table.
struct ModelServices {
  platform::ModelStore& models;
  platform::ModelRegistry& registry;
  platform::AuditStore& audit;
};

void add_model_routes(platform::RouteTable& table, ModelServices services);

}  // namespace web
