// A command of `anneal` that speaks to the server: one action ("ingest") or several under one name ("sources list").
// The actions are data, so that dispatch, --help and shell completion read the same table. Plain values; main's thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/command_line.h"

namespace web {

class ServerConnection;
using Arguments = std::vector<std::string>;

struct ClientAction {
  std::string_view name;  // "" for a command that has one action only
  std::string_view summary;
  std::vector<std::string> examples;
  void (*declare)(platform::CommandLine& line);  // its arguments and options besides those that all actions have
  /// Returns the exit code.
  int (*run)(ServerConnection& server, const platform::CommandLine& line);
  /// Asked first where there is one: the exit code of what needs no server, nullopt for what does.
  std::optional<int> (*run_alone)(const platform::CommandLine& line) = nullptr;
};

struct ClientCommand {
  std::string_view name;
  std::string_view summary;
  std::vector<ClientAction> actions;
};

/// Every command that speaks to the server, in alphabetical order.
const std::vector<ClientCommand>& client_commands();
/// Throws kInternal for a name that is not in the table.
const ClientCommand& client_command(std::string_view name);

/// What the action's command line takes, with --server, --data-folder, --token-file and --json.
platform::CommandLine command_line_of(const ClientCommand& command, const ClientAction& action);
/// Chooses the action by the first argument, reads the others, connects and runs it. Prints help for --help or no
/// action. Throws kInvalidInput naming the nearest action.
int run_client_command(const ClientCommand& command, const Arguments& arguments);

}  // namespace web
