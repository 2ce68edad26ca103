#include "workflows/definitions.h"

namespace workflows {

extern const std::vector<std::pair<std::string_view, std::string_view>> kShippedDefinitions;

std::vector<std::string> shipped_definition_names() {
  std::vector<std::string> names;
  for (const auto& [name, text] : kShippedDefinitions) names.emplace_back(name);
  return names;
}

const std::string_view* shipped_definition(std::string_view name) {
  for (const auto& [known, text] : kShippedDefinitions) {
    if (known == name) return &text;
  }
  return nullptr;
}

platform::Run new_run(const Workflow& workflow, const platform::json::object& given, const std::string& project, const std::string& started_by) {
  platform::Run run;
  run.inputs = settle_inputs(workflow, given);
  run.id = platform::RunId::make();
  run.project = project;
  run.workflow = workflow.name;
  run.workflow_hash = workflow.content_hash;
  run.started_by = started_by;
  for (const platform::StepDefinition& definition : workflow.steps) {
    platform::RunStep step;
    step.definition = definition;
    run.steps.push_back(std::move(step));
  }
  return run;
}

}  // namespace workflows
