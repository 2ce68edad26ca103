// The subcommands of this room: `worker` runs steps, `validate`, `plan` and `run` take a workflow file. Each reads its own
// options, prints for people on a terminal and JSON lines otherwise, and returns the exit code: 0 done, 1 failed, 2 the user's
// input is wrong (then nothing was started). They throw platform::Error, which main turns into a line and a code.
#pragma once

#include <string>
#include <vector>

namespace workflows {

/// Runs steps of the installation in the data folder (or of --database) until SIGTERM, which hands the step back.
int worker_command(const std::vector<std::string>& arguments);

}  // namespace workflows
