// What the server offers: one line a resource, in alphabetical order. Each adds its rows to the one table of routes.
#pragma once

#include "platform/http/router.h"
#include "web/server/services.h"

namespace web {

void add_artifacts_routes(platform::RouteTable& routes, Services& services);
void add_page_routes(platform::RouteTable& routes, Services& services);
/// /healthz, /readyz, /metrics, /openapi.json. Call it last: the document describes the routes that stand by then.
void add_system_routes(platform::RouteTable& routes, Services& services);

/// Every route of the server.
platform::RouteTable all_routes(Services& services);

}  // namespace web
