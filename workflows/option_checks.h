// What can be known of a step's options once inputs have values: options that take an input are judged with its value
// in place, and the options of a step together. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "workflows/workflow.h"

namespace workflows {

struct OptionTrouble {
  std::string option;  // empty: about all of them together
  std::string message;
};

/// What is wrong with options of `with` whose expressions all stand for inputs in `inputs`, and with the options
/// together; what outputs of steps will give is left to the run.
std::vector<OptionTrouble> option_troubles(const StepKind& kind, const platform::json::object& with,
                                           const platform::json::object& inputs);
/// The same over all steps, a line for each, beginning with the step's name.
std::vector<std::string> option_troubles(const Workflow& workflow, const platform::json::object& inputs);

}  // namespace workflows
