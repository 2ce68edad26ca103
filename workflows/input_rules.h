// What the inputs of a workflow may be: their types, ranges and choices. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workflows/workflow.h"

namespace workflows {

const std::vector<std::string>& input_types();
/// What is wrong with `value` for `input`, beginning with "input 'x' ..."; empty = nothing.
std::string input_trouble(const WorkflowInput& input, const platform::json::value& value);
/// False if no value of such an input can serve such an option.
bool type_may_fit(std::string_view input_type, OptionType option);

}  // namespace workflows
