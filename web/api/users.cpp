#include "web/api/users.h"

#include "platform/base/error.h"
#include "platform/security/roles.h"
#include "web/api/project_of.h"
#include "web/api/resource.h"

namespace web {

namespace json = platform::json;
using platform::AuditLine;
using platform::Method;
using platform::Request;
using platform::Response;
using platform::Role;
using platform::Time;
using platform::TokenRecord;

namespace {

json::object to_json(const TokenRecord& token) {
  return {{"name", token.name},
          {"role", token.role},
          {"created_at", platform::format_time(token.created_at)},
          {"expires_at", or_null(token.expires_at)},
          {"revoked_at", or_null(token.revoked_at)}};
}

json::object to_json(const AuditLine& line) {
  return {{"id", line.id},           {"at", platform::format_time(line.at)},
          {"actor", line.actor},     {"action", line.action},
          {"subject", line.subject}, {"details", line.details},
          {"hash", line.hash}};
}

class UserRoutes {
 public:
  explicit UserRoutes(UserServices services) : services_(services) {}

  Response create(const Request& request) const {
    const json::object body = body_of(request);
    platform::refuse_unknown_keys(body, {"name", "role", "expires_at"}, "");
    const std::string name = platform::require_string(body, "name", "");
    const Role role = platform::role_from(platform::require_string(body, "role", ""));
    const std::string expiry = platform::string_or(body, "expires_at", "", "");
    const auto expires_at = expiry.empty() ? std::nullopt : std::optional(platform::parse_time(expiry));
    const std::string token =
        services_.authenticator.create(project_of(request), name, role, expires_at, request.identity.name);
    Response response = platform::json_response(
        json::object{
            {"name", name}, {"role", platform::to_string(role)}, {"expires_at", or_null(expires_at)}, {"token", token}},
        201);
    response.headers["Cache-Control"] = "no-store";
    return response;
  }

  Response list(const Request& request) const {
    json::array items;
    for (const TokenRecord& token : services_.authenticator.list(project_of(request))) items.push_back(to_json(token));
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

  Response revoke(const Request& request) const {
    services_.authenticator.revoke(project_of(request), request.param("name"), request.identity.name);
    return platform::empty_response();
  }

  Response roles(const Request&) const {
    json::array items;
    for (const Role role : platform::all_roles()) {
      json::array allowed;
      for (const std::string_view permission : platform::all_permissions()) {
        if (platform::allows(role, permission)) allowed.emplace_back(permission);
      }
      items.push_back(json::object{{"name", platform::to_string(role)},
                                   {"description", platform::describe(role)},
                                   {"permissions", std::move(allowed)}});
    }
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

  Response audit(const Request& request) const {
    const auto limit = static_cast<int>(request.query_int("limit", 100, 1, 1000));
    const auto found = services_.audit.list(project_of(request), request.query_int("before", 0, 0, INT64_MAX), limit);
    json::array items;
    for (const AuditLine& line : found) items.push_back(to_json(line));
    const bool more = !found.empty() && found.back().id > 1;
    return platform::json_response(
        page(std::move(items), limit, "before", more ? std::to_string(found.back().id) : ""));
  }

  Response verify(const Request&) const {
    const platform::AuditVerdict verdict = services_.audit.verify();
    return platform::json_response(
        json::object{{"holds", !verdict.broken_at},
                     {"lines", verdict.lines},
                     {"broken_at", verdict.broken_at ? json::value(*verdict.broken_at) : json::value()},
                     {"last_hash", verdict.last_hash}});
  }

 private:
  UserServices services_;
};

}  // namespace

void add_user_routes(platform::RouteTable& table, UserServices services) {
  const Handlers<UserRoutes> bind(services);
  const std::string tokens = "/api/v1/tokens", audit = "/api/v1/audit";
  table.add({Method::kPost, tokens, "Makes a token for a name and a role; the answer alone shows it", "users.write",
             bind(&UserRoutes::create)});
  table.add({Method::kGet, tokens, "Lists who has tokens, revoked ones too", "users.read", bind(&UserRoutes::list)});
  table.add({Method::kDelete, tokens + "/{name}", "Revokes a token", "users.write", bind(&UserRoutes::revoke)});
  table.add(
      {Method::kGet, "/api/v1/roles", "Lists the roles and what each may do", "users.read", bind(&UserRoutes::roles)});
  table.add({.method = Method::kGet,
             .pattern = audit,
             .summary = "Lists what was done by whom, newest first",
             .permission = "audit.read",
             .handler = bind(&UserRoutes::audit),
             .query = {{"before", "ids below this one"}, {"limit", "at most so many"}}});
  table.add({Method::kGet, audit + "/verify", "Reads the whole chain and says whether every line is as it was written",
             "audit.read", bind(&UserRoutes::verify)});
}

}  // namespace web
