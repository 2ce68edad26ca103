// Where a command about examples takes them from, a file or a dataset of the server, and which base reads them. Main's
// thread.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "platform/base/command_line.h"
#include "platform/dataset/example.h"

namespace web {

class ServerConnection;

/// What --base asks for: a path, or the name of a base that the data folder or the installation has.
std::filesystem::path base_of(const platform::CommandLine& line);
/// Of the file --data; nullopt where the line names a dataset. Throws kInvalidInput for both or neither.
std::optional<std::vector<platform::Example>> examples_of_file(const platform::CommandLine& line);
/// Of the dataset NAME in its --version.
std::vector<platform::Example> examples_of_version(ServerConnection& server, const platform::CommandLine& line);

}  // namespace web
