// `anneal datasets distill`: the answers of a larger, served model to the prompts of a dataset, as a dataset for a
// student. Main's thread.
#pragma once

#include <optional>

#include "platform/base/command_line.h"

namespace web {

class ServerConnection;

void declare_distill(platform::CommandLine& line);
/// Of a file of examples; nullopt where the line names a dataset.
std::optional<int> distill_file(const platform::CommandLine& line);
/// Of a dataset version that the server has.
int distill_version(ServerConnection& server, const platform::CommandLine& line);

}  // namespace web
