// Subcommands of `anneal` that belong to the server. Each takes the arguments after its name, returns the exit code and
// throws platform::Error.
#pragma once

#include <string>
#include <vector>

namespace web {

/// Runs the server until SIGTERM or SIGINT.
int serve_command(const std::vector<std::string>& arguments);

}  // namespace web
