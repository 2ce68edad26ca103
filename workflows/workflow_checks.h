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
  std::size_t before;  // mistakes that were there already, of other files

  /// The rest would not be told (kMostMistakes).
  bool told_enough() const { return mistakes.size() - before > kMostMistakes; }
  void mistake(const platform::YamlNode& at, std::string message) {
    mistakes.push_back({file, at.line, at.column, std::move(message)});
  }
};

/// Of a workflow with at most kMostSteps steps.
void check_whole(WorkflowDraft& draft);

}  // namespace workflows
