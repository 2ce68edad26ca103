// The subcommands of `anneal` that speak to the server over REST. Each takes the arguments after its name, returns the
// exit code (0 done, 1 failed, 2 wrong input) and throws platform::Error.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace web {

int agents_command(const std::vector<std::string>& arguments);
int alias_command(const std::vector<std::string>& arguments);
int datasets_command(const std::vector<std::string>& arguments);
int deploy_command(const std::vector<std::string>& arguments);
int ingest_command(const std::vector<std::string>& arguments);
int models_command(const std::vector<std::string>& arguments);
int run_command(const std::vector<std::string>& arguments);
int predict_command(const std::vector<std::string>& arguments);
int runs_command(const std::vector<std::string>& arguments);
int sources_command(const std::vector<std::string>& arguments);
int token_command(const std::vector<std::string>& arguments);
int workflows_command(const std::vector<std::string>& arguments);

/// Of a command that speaks to no server, the words that may follow it; each of them says its options by --help.
using LocalActions = std::vector<std::pair<std::string, std::vector<std::string>>>;

/// The completion script of bash: `commands` are the words that may follow "anneal".
std::string bash_completion(const std::vector<std::string>& commands, const LocalActions& local = {});

}  // namespace web
