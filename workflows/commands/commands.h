// The subcommands of this room: `worker` runs steps, `validate` and `plan` take a workflow file. Each reads its own
// options, prints for people on a terminal and JSON lines otherwise, and returns the exit code: 0 done, 1 failed, 2 the
// user's input is wrong (then nothing was started). They throw platform::Error, which main turns into a line and a
// code.
#pragma once

#include <string>
#include <vector>

namespace workflows {

/// Shows the steps of a workflow in order, with its inputs settled.
int plan_command(const std::vector<std::string>& arguments);
/// Names every mistake of workflow files with line and column.
int validate_command(const std::vector<std::string>& arguments);
/// Runs steps of the installation in the data folder (or of --database) until SIGTERM, which hands the step back.
int worker_command(const std::vector<std::string>& arguments);

}  // namespace workflows
