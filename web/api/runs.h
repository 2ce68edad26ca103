// The REST resource `runs`: starting a workflow, watching it (states, journal as server-sent events, curves, log), and
// what people may ask of it: cancel, retry, approve, reject. Handlers are thread-safe as the stores are.
#pragma once

#include "connectors/file_access.h"
#include "platform/http/router.h"
#include "platform/store/run_store.h"
#include "platform/store/source_store.h"

namespace web {

/// What the routes use; all outlive the table.
struct RunServices {
  platform::RunStore& runs;
  platform::SourceStore& sources;
  const connectors::FileAccess& files;  // what a step of a run may read
};

void add_run_routes(platform::RouteTable& table, RunServices services);

}  // namespace web
