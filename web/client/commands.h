// The subcommands of `anneal` that speak to the server over REST. Each takes the arguments after its name, returns the exit
// code (0 done, 1 failed, 2 wrong input) and throws platform::Error.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace web {

int agents_command(const std::vector<std::string>& arguments);
int deploy_command(const std::vector<std::string>& arguments);
int ingest_command(const std::vector<std::string>& arguments);
int sources_command(const std::vector<std::string>& arguments);

}  // namespace web
