#include "web/client/client_command.h"

#include <algorithm>
#include <cstdio>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"
#include "web/client/server_connection.h"

namespace web {

using platform::Error;
using platform::ErrorCode;

namespace {

std::string full_name(const ClientCommand& command, const ClientAction& action) {
  std::string name = "anneal " + std::string(command.name);
  if (!action.name.empty()) name += " " + std::string(action.name);
  return name;
}

void print_actions(const ClientCommand& command) {
  const std::string name = "anneal " + std::string(command.name);
  std::printf("%s\n\nUsage: %s ACTION [options]\n\n", std::string(command.summary).c_str(), name.c_str());
  std::size_t width = 0;
  for (const ClientAction& action : command.actions) width = std::max(width, action.name.size());
  for (const ClientAction& action : command.actions)
    std::printf("  %-*s  %s\n", static_cast<int>(width), std::string(action.name).c_str(),
                std::string(action.summary).c_str());
  std::puts("\nExamples:");
  for (const ClientAction& action : command.actions)
    if (!action.examples.empty()) std::printf("  %s\n", action.examples.front().c_str());
  std::printf("\n%s ACTION --help explains one.\n", name.c_str());
}

const ClientAction& action_of(const ClientCommand& command, const std::string& name) {
  std::vector<std::string_view> names;
  for (const ClientAction& action : command.actions) {
    if (action.name == name) return action;
    names.push_back(action.name);
  }
  std::string known;
  for (const std::string_view each : names) known += (known.empty() ? "" : ", ") + std::string(each);
  throw Error(ErrorCode::kInvalidInput, "anneal " + std::string(command.name) + ": unknown action '" + name + "'" +
                                            platform::did_you_mean(name, names) + "; there are " + known);
}

}  // namespace

const ClientCommand& client_command(std::string_view name) {
  for (const ClientCommand& command : client_commands())
    if (command.name == name) return command;
  throw Error(ErrorCode::kInternal, "no such client command: " + std::string(name));
}

platform::CommandLine command_line_of(const ClientCommand& command, const ClientAction& action) {
  platform::CommandLine line(full_name(command, action), std::string(action.summary) + ".", action.examples);
  action.declare(line);
  line.flag("json", "print the server's answer as JSON, for scripts");
  line.option("server", "URL", "the server; default $ANNEAL_SERVER, else the one that runs on the data folder");
  line.option("data-folder", "DIR", "data folder of the local server; default $ANNEAL_DATA");
  line.option("token-file", "FILE", "file with the access token; default $ANNEAL_TOKEN, else the data folder's");
  return line;
}

int run_client_command(const ClientCommand& command, const Arguments& arguments) {
  const bool single = command.actions.size() == 1 && command.actions.front().name.empty();
  if (!single && (arguments.empty() || arguments.front() == "--help" || arguments.front() == "-h")) {
    print_actions(command);
    return arguments.empty() ? 2 : 0;
  }
  const ClientAction& action = single ? command.actions.front() : action_of(command, arguments.front());
  platform::CommandLine line = command_line_of(command, action);
  if (!line.read(single ? arguments : Arguments(arguments.begin() + 1, arguments.end()))) return 0;
  if (action.run_alone != nullptr) {
    if (const std::optional<int> code = action.run_alone(line)) return *code;
  }
  ServerConnection server(line);
  return action.run(server, line);
}

}  // namespace web
