// Who may ask the agent's port. It has no users, so a web page in a browser on the same machine must not be able to ask
// it: not across origins, and not by a name that somebody else points at this machine (DNS rebinding). Pure; any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/http/server.h"

namespace deploy {

/// True if `host`, the Host header, names this machine: a loopback address or "localhost", `address` or one of `names`;
/// with the address 0.0.0.0 or :: also any bare IP address and the machine's own host name.
bool names_this_agent(std::string_view host, const std::string& address, const std::vector<std::string>& names);

/// Lets everybody in who asks by a name of this agent, and not from a web page of another origin; else throws
/// kForbidden.
platform::AuthorizeFunction front_door(std::string address, std::vector<std::string> names);

}  // namespace deploy
