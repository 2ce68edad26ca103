// What the inputs of a workflow may be: their types, ranges and choices. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workflows/workflow.h"

namespace workflows {

const std::vector<std::string>& input_types();
/// "rank=16" -> {"rank": "16"}: what a person typed stays text, since only the workflow knows the types. Throws
/// kInvalidInput naming `option` if there is no '=' or nothing before it.
platform::json::object inputs_from(const std::vector<std::string>& pairs, const std::string& option);
/// What is wrong with `value` for `input`, beginning with "input 'x' ..."; empty = nothing.
std::string input_trouble(const WorkflowInput& input, const platform::json::value& value);
/// The inputs that need not be given, with their values.
platform::json::object default_inputs(const Workflow& workflow);
/// False if no value of such an input can serve such an option.
bool type_may_fit(std::string_view input_type, OptionType option);

}  // namespace workflows
