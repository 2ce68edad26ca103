// The REST resources `tokens`, `roles` and `audit`: who may use this server, as what, and what was done. A token's text
// is in the answer that makes it and nowhere else. Handlers are thread-safe as the stores are.
#pragma once

#include "platform/http/router.h"
#include "platform/security/authenticator.h"
#include "platform/store/audit_store.h"

namespace web {

/// What the routes use; all outlive the table.
struct UserServices {
  platform::Authenticator& authenticator;
  platform::AuditStore& audit;
};

void add_user_routes(platform::RouteTable& table, UserServices services);

}  // namespace web
