// The REST resource `workflows`: the texts saved by people and the ready ones that come with the program, whose names
// nobody else can use. A text is checked whole before it is kept; every mistake is answered with line and column.
// Handlers are thread-safe as the stores are.
#pragma once

#include <optional>
#include <string>

#include "platform/http/router.h"
#include "platform/store/run_store.h"
#include "workflows/workflow.h"

namespace web {

/// What the routes use; outlives the table.
struct WorkflowServices {
  platform::RunStore& runs;
};

void add_workflow_routes(platform::RouteTable& table, WorkflowServices services);

/// The text that `name` stands for: the ready one, else the one saved last. nullopt if there is neither.
std::optional<platform::SavedWorkflow> named_workflow(platform::RunStore& runs, const std::string& project,
                                                      const std::string& name);
/// Keeps the text that a run is started from, so that it can always be shown. What the name stands for stays as it is,
/// unless nothing had this name.
void keep_text_of_run(platform::RunStore& runs, const platform::SavedWorkflow& text);
/// Name, inputs and steps for people and programs, without the text.
platform::json::object to_json(const workflows::Workflow& workflow);

}  // namespace web
