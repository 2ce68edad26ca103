// The ready workflows (workflows/definitions/*.yaml, compiled in) and the run that a workflow becomes. Pure but for
// workflow_text, which may read a file; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/model/run.h"
#include "workflows/workflow.h"

namespace workflows {

/// Names of the ready workflows, sorted.
std::vector<std::string> shipped_definition_names();
/// The YAML of a ready workflow; nullptr if there is none.
const std::string_view* shipped_definition(std::string_view name);
/// The YAML that a person means on the command line: the ready workflow of that name, else the file. Throws kNotFound
/// naming the nearest ready workflow, else as read_file does.
std::string workflow_text(const std::string& name_or_file);

/// A run of the workflow that has not begun, for platform::start_run. `given` are the inputs as they came.
/// Throws kInvalidInput naming every missing, unknown or unfit input.
platform::Run new_run(const Workflow& workflow, const platform::json::object& given, const std::string& project,
                      const std::string& started_by);

}  // namespace workflows
