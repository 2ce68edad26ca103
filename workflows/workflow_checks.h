// Checks over a whole workflow that a single key cannot show: unknown and circular needs, references to inputs and to
// outputs that are not there. Each finding becomes a Mistake at the text at fault. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "platform/base/yaml.h"
#include "workflows/workflow.h"

namespace workflows {

struct WorkflowDraft {
  Workflow& workflow;
  const platform::YamlNode& root;
  const std::string& file;
  const std::vector<StepKind>& kinds;
  std::vector<platform::Mistake>& mistakes;

  void mistake(const platform::YamlNode& at, std::string message) {
    mistakes.push_back({file, at.line, at.column, std::move(message)});
  }
};

void check_needs(WorkflowDraft& draft);
void check_references(WorkflowDraft& draft);
/// Names of all steps that `step` needs, directly or not.
std::vector<std::string> needed_by(const Workflow& workflow, const std::string& step);

}  // namespace workflows
