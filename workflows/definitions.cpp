#include "workflows/definitions.h"

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

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

std::string workflow_text(const std::string& name_or_file) {
  constexpr std::size_t kLargestText = std::size_t{1} << 20;
  if (const std::string_view* ready = shipped_definition(name_or_file))
    return std::string(*ready);  // no ready name ends in .yaml
  if (!std::filesystem::exists(name_or_file)) {
    throw platform::Error(platform::ErrorCode::kNotFound,
                          "there is neither a file nor a ready workflow '" + name_or_file + "'" +
                              platform::did_you_mean(name_or_file, shipped_definition_names()));
  }
  return platform::read_file(name_or_file, kLargestText);
}

platform::Run new_run(const Workflow& workflow, const platform::json::object& given, const std::string& project,
                      const std::string& started_by) {
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
