// The tables behind client_commands(): one function a command, defined in the file of the command.
#pragma once

#include "web/client/client_command.h"

namespace web {

ClientCommand agents_actions();
ClientCommand alias_actions();
ClientCommand datasets_actions();
ClientCommand deploy_actions();
ClientCommand ingest_actions();
ClientCommand models_actions();
ClientCommand runs_actions();
ClientCommand sources_actions();
ClientCommand token_actions();
ClientCommand workflows_actions();

}  // namespace web
