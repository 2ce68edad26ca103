#include "workflows/option_checks.h"

#include <algorithm>

#include "platform/engine/expression.h"
#include "workflows/step_schemas.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Reference;

void collect(const json::value& value, std::vector<Reference>& references) {
  if (value.is_string()) {
    for (Reference& each : platform::find_references(value.get_string())) references.push_back(std::move(each));
  } else if (value.is_array()) {
    for (const json::value& item : value.get_array()) collect(item, references);
  } else if (value.is_object()) {
    for (const auto& pair : value.get_object()) collect(pair.value(), references);
  }
}

// The names of the inputs behind the expressions of an option.
std::string inputs_behind(const std::vector<Reference>& references) {
  std::string names;
  for (const Reference& each : references) names += (names.empty() ? "" : ", ") + each.name;
  return names;
}

}  // namespace

std::vector<OptionTrouble> option_troubles(const StepKind& kind, const json::object& with, const json::object& inputs) {
  std::vector<OptionTrouble> troubles;
  platform::Run run;
  run.inputs = inputs;
  json::object together;
  for (const StepOption& option : kind.options) {
    const json::value* value = with.if_contains(option.name);
    if (value == nullptr) continue;
    together[option.name] = *value;
    std::vector<Reference> references;
    collect(*value, references);
    const bool known = std::all_of(references.begin(), references.end(), [&](const Reference& each) {
      return each.kind == Reference::Kind::kInput && inputs.contains(each.name);
    });
    if (references.empty() || !known) continue;
    together[option.name] = platform::resolve(*value, run);
    const std::string trouble = option_trouble(option, together[option.name]);
    if (!trouble.empty())
      troubles.push_back({option.name, trouble + " (from input " + inputs_behind(references) + ")"});
  }
  try {
    if (kind.check && troubles.empty()) kind.check(together);
  } catch (const platform::Error& error) {
    troubles.push_back({error.path(), error.what()});
  }
  return troubles;
}

std::vector<std::string> option_troubles(const Workflow& workflow, const json::object& inputs) {
  std::vector<std::string> lines;
  for (const platform::StepDefinition& step : workflow.steps) {
    const StepKind* kind = find_kind(step_schemas(), step.kind);
    if (kind == nullptr) continue;
    for (const OptionTrouble& trouble : option_troubles(*kind, step.with, inputs))
      lines.push_back("step '" + step.name + "': " + trouble.message);
  }
  return lines;
}

}  // namespace workflows
