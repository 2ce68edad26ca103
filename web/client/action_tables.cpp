#include "web/client/action_tables.h"

#include "web/client/commands.h"

namespace web {

const std::vector<ClientCommand>& client_commands() {
  static const std::vector<ClientCommand> kCommands{agents_actions(), deploy_actions(), ingest_actions(), sources_actions()};
  return kCommands;
}

int agents_command(const Arguments& arguments) { return run_client_command(client_command("agents"), arguments); }
int deploy_command(const Arguments& arguments) { return run_client_command(client_command("deploy"), arguments); }
int ingest_command(const Arguments& arguments) { return run_client_command(client_command("ingest"), arguments); }
int sources_command(const Arguments& arguments) { return run_client_command(client_command("sources"), arguments); }

}  // namespace web
