// What people change over REST leaves a line in the audit log: one row an action, so that a glance shows what is
// written down. Moves of aliases and tokens write their lines themselves, since they know more than request and answer
// say.
#pragma once

#include "platform/http/router.h"
#include "platform/store/audit_store.h"

namespace web {

/// The same routes; those of the table append a line once their handler has done its work. `audit` outlives the result.
/// Throws kInternal for a row that no route has.
platform::RouteTable audited(const platform::RouteTable& routes, platform::AuditStore& audit);

}  // namespace web
