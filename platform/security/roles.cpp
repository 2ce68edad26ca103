#include "platform/security/roles.h"

#include <array>
#include <string>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"

namespace platform {

namespace {

struct RoleRow {
  Role role;
  std::string_view name;
  std::string_view description;
};

// In the order of the enumeration, which is alphabetical.
constexpr std::array kRoles{
    RoleRow{Role::kAdmin, "admin", "does everything, hands out and revokes tokens"},
    RoleRow{Role::kAgent, "agent", "a plant agent: polls for deployments, downloads them, reports back"},
    RoleRow{Role::kApprover, "approver", "sees everything but tokens and the audit log, and approves runs that wait"},
    RoleRow{Role::kAuditor, "auditor", "sees everything, the tokens' names and the audit log too, and changes nothing"},
    RoleRow{Role::kEngineer, "engineer",
            "connects sources that come to the server, adapts models, approves, deploys and rolls back"},
    RoleRow{Role::kOperator, "operator", "the line and its systems: sends records and sees how all goes"},
    RoleRow{Role::kViewer, "viewer", "sees everything but tokens and the audit log"},
};

struct PermissionRow {
  std::string_view permission;
  std::string_view allowed;  // one mark a role, in the order of kRoles
};

// admin, agent, approver, auditor, engineer, operator, viewer: 'x' = may.
constexpr std::array kPermissions{
    PermissionRow{"agents.poll", /*      */ "xx....."}, PermissionRow{"agents.read", /*      */ "x.xxxxx"},
    PermissionRow{"artifacts.read", /*   */ "xxxxxxx"}, PermissionRow{"audit.read", /*       */ "x..x..."},
    PermissionRow{"datasets.read", /*    */ "x.xxxxx"}, PermissionRow{"datasets.write", /*   */ "x...x.."},
    PermissionRow{"deployments.read", /* */ "x.xxxxx"}, PermissionRow{"deployments.write", /**/ "x...x.."},
    PermissionRow{"metrics.read", /*     */ "x.xxxxx"}, PermissionRow{"models.read", /*      */ "x.xxxxx"},
    PermissionRow{"models.write", /*     */ "x...x.."}, PermissionRow{"records.write", /*    */ "x...xx."},
    PermissionRow{"runs.approve", /*     */ "x.x.x.."}, PermissionRow{"runs.read", /*        */ "x.xxxxx"},
    PermissionRow{"runs.write", /*       */ "x...x.."}, PermissionRow{"sources.call_out", /* */ "x......"},
    PermissionRow{"sources.read", /*     */ "x.xxxxx"}, PermissionRow{"sources.write", /*    */ "x...x.."},
    PermissionRow{"users.read", /*       */ "x..x..."}, PermissionRow{"users.write", /*      */ "x......"},
    PermissionRow{"workflows.read", /*   */ "x.xxxxx"}, PermissionRow{"workflows.write", /*  */ "x...x.."},
};

const RoleRow& row_of(Role role) { return kRoles[static_cast<std::size_t>(role)]; }

}  // namespace

std::string_view to_string(Role role) { return row_of(role).name; }

std::string_view describe(Role role) { return row_of(role).description; }

std::optional<Role> find_role(std::string_view name) {
  for (const RoleRow& row : kRoles) {
    if (row.name == name) return row.role;
  }
  return std::nullopt;
}

Role role_from(std::string_view name) {
  if (const auto role = find_role(name)) return *role;
  std::vector<std::string_view> names;
  std::string listed;
  for (const RoleRow& row : kRoles) {
    names.push_back(row.name);
    listed.append(listed.empty() ? "" : ", ").append(row.name);
  }
  throw Error(ErrorCode::kInvalidInput,
              "no such role: '" + std::string(name) + "'" + did_you_mean(name, names) + "; roles are " + listed,
              "role");
}

const std::vector<Role>& all_roles() {
  static const std::vector<Role> kAll = [] {
    std::vector<Role> all;
    for (const RoleRow& row : kRoles) all.push_back(row.role);
    return all;
  }();
  return kAll;
}

bool allows(Role role, std::string_view permission) {
  if (permission.empty() || role == Role::kAdmin) return true;
  for (const PermissionRow& row : kPermissions) {
    if (row.permission == permission) return row.allowed[static_cast<std::size_t>(role)] == 'x';
  }
  return false;
}

std::vector<std::string_view> all_permissions() {
  std::vector<std::string_view> all;
  for (const PermissionRow& row : kPermissions) all.push_back(row.permission);
  return all;
}

}  // namespace platform
