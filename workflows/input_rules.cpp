#include "workflows/input_rules.h"

#include <algorithm>

#include "platform/base/did_you_mean.h"
#include "workflows/option_checks.h"

namespace workflows {
namespace {

namespace json = platform::json;

OptionType option_type(std::string_view input_type) {
  if (input_type == "integer") return OptionType::kInteger;
  if (input_type == "number") return OptionType::kNumber;
  if (input_type == "boolean") return OptionType::kBoolean;
  if (input_type == "duration") return OptionType::kDuration;
  if (input_type == "list") return OptionType::kTexts;
  if (input_type == "mapping") return OptionType::kMapping;
  return OptionType::kText;  // string, and the names of sources, datasets, bases and models
}

// Texts from a command line or a form become what the input's type says.
json::value typed(const WorkflowInput& input, const json::value& value) {
  const OptionType type = option_type(input.type);
  if (!value.is_string()) {
    if (type == OptionType::kText && (value.is_number() || value.is_bool()))
      return json::value(platform::canonical_json(value));
    return value;
  }
  if (type == OptionType::kText || type == OptionType::kDuration) return value;
  std::vector<platform::Mistake> mistakes;
  const auto node = platform::parse_yaml(std::string(value.get_string()), input.name, mistakes);
  return mistakes.empty() ? platform::to_json(*node) : value;
}

}  // namespace

const std::vector<std::string>& input_types() {
  static const std::vector<std::string> kTypes = {"base",    "boolean", "dataset", "duration", "integer", "list",
                                                  "mapping", "model",   "number",  "source",   "string"};
  return kTypes;
}

json::object inputs_from(const std::vector<std::string>& pairs, const std::string& option) {
  json::object inputs;
  for (const std::string& pair : pairs) {
    const std::size_t equals = pair.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw platform::Error(platform::ErrorCode::kInvalidInput, option + " takes KEY=VALUE, not '" + pair + "'",
                            option);
    inputs[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return inputs;
}

std::string input_trouble(const WorkflowInput& input, const json::value& value) {
  StepOption rule;
  rule.name = input.name;
  rule.type = option_type(input.type);
  rule.choices = input.choices;
  rule.minimum = input.minimum;
  rule.maximum = input.maximum;
  const std::string trouble = option_trouble(rule, value);
  return trouble.empty() ? trouble : "input " + trouble;
}

bool type_may_fit(std::string_view input_type, OptionType option) {
  const OptionType given = option_type(input_type);
  if (option == OptionType::kAny || given == option) return true;
  if (option == OptionType::kText) return given != OptionType::kMapping && given != OptionType::kTexts;
  if (option == OptionType::kTexts) return given != OptionType::kMapping;
  if (option == OptionType::kNumber) return given == OptionType::kInteger;
  if (option == OptionType::kDuration) return given == OptionType::kInteger || given == OptionType::kText;
  return false;
}

json::object default_inputs(const Workflow& workflow) {
  json::object inputs;
  for (const WorkflowInput& input : workflow.inputs) {
    if (input.fallback) inputs[input.name] = typed(input, *input.fallback);
  }
  return inputs;
}

json::object settle_inputs(const Workflow& workflow, const json::object& given) {
  std::string troubles;
  const auto add = [&](const std::string& text) { troubles += (troubles.empty() ? "" : "\n") + text; };
  json::object settled;
  std::vector<std::string> names;
  for (const WorkflowInput& input : workflow.inputs) {
    names.push_back(input.name);
    const json::value* value = given.if_contains(input.name);
    if (value == nullptr && !input.fallback) {
      add("input '" + input.name + "' is missing (" + input.type + "); give it with --set " + input.name + "=VALUE");
      continue;
    }
    settled[input.name] = typed(input, value != nullptr ? *value : *input.fallback);
    const std::string trouble = input_trouble(input, settled[input.name]);
    if (!trouble.empty()) add(trouble);
  }
  for (const auto& [key, value] : given) {
    if (std::find(names.begin(), names.end(), key) == names.end())
      add("unknown input '" + std::string(key) + "'" + platform::did_you_mean(key, names));
  }
  if (troubles.empty()) {
    for (const std::string& line : option_troubles(workflow, settled)) add(line);
  }
  if (!troubles.empty()) throw platform::Error(platform::ErrorCode::kInvalidInput, troubles, "inputs");
  return settled;
}

}  // namespace workflows
