#include "web/api/workflows.h"

#include "platform/base/error.h"
#include "platform/base/shortened.h"
#include "web/api/project_of.h"
#include "web/api/resource.h"
#include "workflows/definitions.h"
#include "workflows/steps.h"

namespace web {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Request;
using platform::Response;
using platform::SavedWorkflow;
using workflows::Workflow;

namespace {

constexpr std::string_view kProgram = "anneal";  // who saved a ready workflow

bool is_ready(const std::string& name) { return workflows::shipped_definition(name) != nullptr; }

json::object to_json(const workflows::WorkflowInput& input) {
  json::object made{{"name", input.name},
                    {"type", input.type},
                    {"description", input.description},
                    {"required", !input.fallback.has_value()}};
  if (input.fallback) made["default"] = *input.fallback;
  if (input.minimum || input.maximum) {
    made["minimum"] = or_null(input.minimum);
    made["maximum"] = or_null(input.maximum);
  }
  if (!input.choices.empty()) made["choices"] = json::array(input.choices.begin(), input.choices.end());
  return made;
}

// `workflow`: nullptr for a text that this program no longer takes.
json::object summary(const SavedWorkflow& saved, const Workflow* workflow) {
  json::object made{{"name", saved.name},
                    {"description", workflow == nullptr ? "" : workflow->description},
                    {"content_hash", saved.content_hash},
                    {"ready", is_ready(saved.name)},
                    {"saved_by", saved.saved_by}};
  made["valid"] = workflow != nullptr;
  made["saved_at"] =
      saved.saved_at == platform::Time{} ? json::value() : json::value(platform::format_time(saved.saved_at));
  return made;
}

SavedWorkflow ready_workflow(const std::string& project, const std::string& name, std::string_view text) {
  SavedWorkflow ready;
  ready.project = project;
  ready.name = name;
  ready.text = std::string(text);
  ready.content_hash = workflows::workflow_from_text(text, name + ".yaml", workflows::step_kinds()).content_hash;
  ready.saved_by = std::string(kProgram);
  return ready;
}

// YAML as it is, or {"text": "..."}.
std::string text_of(const Request& request) {
  if (request.content_type() != "application/json") return request.body;
  const json::object body = body_of(request);
  platform::refuse_unknown_keys(body, {"text"}, "");
  return platform::require_string(body, "text", "");
}

json::array to_json(const std::vector<platform::Mistake>& mistakes) {
  json::array made;
  for (const platform::Mistake& mistake : mistakes)
    made.push_back(json::object{{"line", mistake.line}, {"column", mistake.column}, {"message", mistake.message}});
  return made;
}

class WorkflowRoutes {
 public:
  explicit WorkflowRoutes(WorkflowServices services) : services_(services) {}

  Response list(const Request& request) const {
    const std::string project = project_of(request);
    std::map<std::string, SavedWorkflow> named;
    for (const std::string& name : workflows::shipped_definition_names())
      named.emplace(name, ready_workflow(project, name, *workflows::shipped_definition(name)));
    for (SavedWorkflow& saved : services_.runs.workflows(project)) {
      std::string name = saved.name;
      named.emplace(std::move(name), std::move(saved));  // the ready one of a name keeps it
    }
    json::array items;
    for (const auto& [name, saved] : named) {
      std::vector<platform::Mistake> mistakes;
      const auto workflow = parsed(saved, mistakes);
      items.push_back(summary(saved, workflow ? &*workflow : nullptr));
    }
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

  Response show(const Request& request) const {
    const std::string hash = request.query_or("content_hash", "");
    const auto saved = hash.empty() ? named_workflow(services_.runs, project_of(request), request.param("name"))
                                    : services_.runs.find_workflow(project_of(request), request.param("name"), hash);
    if (!saved) throw unknown(request.param("name"));
    std::vector<platform::Mistake> mistakes;
    const auto workflow = parsed(*saved, mistakes);
    json::object body = summary(*saved, workflow ? &*workflow : nullptr);
    if (workflow) {
      for (auto& [key, value] : web::to_json(*workflow)) body[key] = value;
    }
    body["mistakes"] = to_json(mistakes);
    body["text"] = saved->text;
    return platform::json_response(body);
  }

  Response save(const Request& request) const {
    SavedWorkflow saved;
    saved.text = text_of(request);
    const Workflow workflow = workflows::workflow_from_text(
        saved.text, platform::shortened(request.query_or("file", "workflow"), 1000), workflows::step_kinds());
    saved.project = project_of(request);
    saved.name = workflow.name;
    if (is_ready(saved.name))
      throw Error(
          ErrorCode::kConflict,
          "the name '" + saved.name +
              "' belongs to a workflow that comes with the program; give yours another `name:` and save it again",
          "name");
    saved.content_hash = workflow.content_hash;
    saved.saved_by = request.identity.name;
    services_.runs.save_workflow(saved);
    const auto kept = services_.runs.find_workflow(saved.project, saved.name);
    return platform::json_response(summary(kept.value_or(saved), &workflow), 201);
  }

  Response remove(const Request& request) const {
    const std::string& name = request.param("name");
    if (is_ready(name))
      throw Error(ErrorCode::kConflict,
                  "workflow '" + name + "' comes with the program and cannot be deleted; leave it unused", "name");
    if (!services_.runs.remove_workflow(project_of(request), name)) throw unknown(name);
    return platform::empty_response();
  }

  Response validate(const Request& request) const {
    std::vector<platform::Mistake> mistakes;
    const auto workflow = workflows::parse_workflow(text_of(request), "workflow", workflows::step_kinds(), mistakes);
    json::object body{{"valid", workflow.has_value()}, {"mistakes", to_json(mistakes)}};
    body["warnings"] = to_json(workflow ? workflow->warnings : std::vector<platform::Mistake>{});
    if (workflow) body["workflow"] = web::to_json(*workflow);
    return platform::json_response(body);
  }

 private:
  static Error unknown(const std::string& name) {
    return {ErrorCode::kNotFound, "there is no workflow '" + name + "'; GET /api/v1/workflows lists them", "name"};
  }

  // An older program may have kept what this one finds mistakes in; it is shown with them.
  static std::optional<Workflow> parsed(const SavedWorkflow& saved, std::vector<platform::Mistake>& mistakes) {
    return workflows::parse_workflow(saved.text, saved.name, workflows::step_kinds(), mistakes);
  }

  WorkflowServices services_;
};

}  // namespace

json::object to_json(const Workflow& workflow) {
  json::array inputs, steps, order;
  for (const workflows::WorkflowInput& input : workflow.inputs) inputs.push_back(to_json(input));
  for (const platform::StepDefinition& step : workflow.steps) {
    json::object made{{"name", step.name},
                      {"uses", step.kind},
                      {"needs", json::array(step.needs.begin(), step.needs.end())},
                      {"with", step.with}};
    if (!step.condition.empty()) made["if"] = step.condition;
    steps.push_back(std::move(made));
  }
  for (const std::string& name : workflows::execution_order(workflow)) order.emplace_back(name);
  return {{"name", workflow.name},
          {"description", workflow.description},
          {"inputs", std::move(inputs)},
          {"steps", std::move(steps)},
          {"order", std::move(order)}};
}

std::optional<SavedWorkflow> named_workflow(platform::RunStore& runs, const std::string& project,
                                            const std::string& name) {
  // Nothing hides a ready workflow: neither a text that a run kept nor one saved before the program brought the name.
  if (const std::string_view* text = workflows::shipped_definition(name)) return ready_workflow(project, name, *text);
  return runs.find_workflow(project, name);
}

void keep_text_of_run(platform::RunStore& runs, const SavedWorkflow& text) {
  const auto meant = named_workflow(runs, text.project, text.name);
  if (meant && runs.find_workflow(text.project, text.name, text.content_hash)) return;
  runs.save_workflow(text);
  if (meant && !is_ready(text.name)) runs.save_workflow(*meant);
}

void add_workflow_routes(platform::RouteTable& table, WorkflowServices services) {
  const Handlers<WorkflowRoutes> bind(services);
  const std::string all = "/api/v1/workflows";
  table.add({Method::kGet, all, "Lists workflows by name: those saved and those that come with the program",
             "workflows.read", bind(&WorkflowRoutes::list)});
  table.add({.method = Method::kPost,
             .pattern = all,
             .summary = "Keeps a workflow's YAML under the name it gives itself",
             .permission = "workflows.write",
             .handler = bind(&WorkflowRoutes::save),
             .query = {{"file", "what mistakes call the text: FILE:LINE:COLUMN; default workflow"}}});
  table.add({.method = Method::kGet,
             .pattern = all + "/{name}",
             .summary = "Shows a workflow: its text, inputs and steps",
             .permission = "workflows.read",
             .handler = bind(&WorkflowRoutes::show),
             .query = {{"content_hash", "the text of a run, by its workflow_hash"}}});
  table.add({Method::kDelete, all + "/{name}",
             "Deletes a saved workflow; the texts of its runs can still be shown by their content_hash",
             "workflows.write", bind(&WorkflowRoutes::remove)});
  table.add({Method::kPost, all + "/validate",
             "Names every mistake of a workflow's YAML with line and column; keeps nothing", "workflows.read",
             bind(&WorkflowRoutes::validate)});
}

}  // namespace web
