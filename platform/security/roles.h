// Roles and what each may do: one table. A permission is "<resource>.<verb>" as it stands in the table of routes. Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace platform {

enum class Role { kAdmin, kAgent, kApprover, kAuditor, kEngineer, kOperator, kViewer };

std::string_view to_string(Role role);
std::optional<Role> find_role(std::string_view name);
/// Throws kInvalidInput with the nearest known name.
Role role_from(std::string_view name);
const std::vector<Role>& all_roles();
/// One line of what the role is for.
std::string_view describe(Role role);
/// True if the role may do what the permission names. The empty permission is public; one that the table lacks is the
/// admin's.
bool allows(Role role, std::string_view permission);
/// Every permission of the table, in its order.
std::vector<std::string_view> all_permissions();

}  // namespace platform
