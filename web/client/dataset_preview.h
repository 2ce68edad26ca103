// `anneal datasets preview`: a dataset's examples as a base will see them. Main's thread.
#pragma once

#include <optional>

#include "platform/base/command_line.h"

namespace web {

class ServerConnection;

void declare_preview(platform::CommandLine& line);
/// Of a file of examples; nullopt where the line names a dataset.
std::optional<int> preview_file(const platform::CommandLine& line);
/// Of a dataset version that the server has.
int preview_version(ServerConnection& server, const platform::CommandLine& line);

}  // namespace web
