#include "web/client/action_tables.h"

#include "web/client/commands.h"

namespace web {

const std::vector<ClientCommand>& client_commands() {
  static const std::vector<ClientCommand> kCommands{
      agents_actions(), alias_actions(), datasets_actions(), deploy_actions(), ingest_actions(),
      models_actions(), runs_actions(),  sources_actions(),  token_actions(),  workflows_actions()};
  return kCommands;
}

int agents_command(const Arguments& arguments) { return run_client_command(client_command("agents"), arguments); }
int alias_command(const Arguments& arguments) { return run_client_command(client_command("alias"), arguments); }
int datasets_command(const Arguments& arguments) { return run_client_command(client_command("datasets"), arguments); }
int deploy_command(const Arguments& arguments) { return run_client_command(client_command("deploy"), arguments); }
int ingest_command(const Arguments& arguments) { return run_client_command(client_command("ingest"), arguments); }
int models_command(const Arguments& arguments) { return run_client_command(client_command("models"), arguments); }
int runs_command(const Arguments& arguments) { return run_client_command(client_command("runs"), arguments); }
int sources_command(const Arguments& arguments) { return run_client_command(client_command("sources"), arguments); }
int token_command(const Arguments& arguments) { return run_client_command(client_command("token"), arguments); }
int workflows_command(const Arguments& arguments) { return run_client_command(client_command("workflows"), arguments); }

}  // namespace web
