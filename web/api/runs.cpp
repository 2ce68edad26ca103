#include "web/api/runs.h"

#include <set>
#include <thread>

#include "platform/base/error.h"
#include "platform/engine/run_control.h"
#include "web/api/project_of.h"
#include "web/api/resource.h"
#include "web/api/workflows.h"
#include "workflows/definitions.h"
#include "workflows/run_files.h"
#include "workflows/steps.h"

namespace web {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Request;
using platform::Response;
using platform::Run;
using platform::RunEvent;
using platform::RunStep;

namespace {

constexpr std::int64_t kEventPage = 200;
constexpr std::string_view kWaiting = "waiting";  // a step between two looks at the world outside
constexpr std::chrono::milliseconds kLook{500};   // between two looks for new journal lines
constexpr std::chrono::seconds kKeepAlive{15};

// Ready and running take turns in such a step, which tells people nothing.
std::string_view shown_state(const RunStep& step) {
  const bool looks = step.state != platform::StepState::kWaitingApproval && is_waiting(step);
  return looks ? kWaiting : platform::to_string(step.state);
}

// What the run waits for, one entry a step; of a run from a list those steps are all that is known.
json::array waiting_for(const Run& run) {
  json::array waiting;
  if (is_final(run.state)) return waiting;
  for (const RunStep& step : run.steps) {
    if (!is_waiting(step)) continue;
    const bool asks = step.state == platform::StepState::kWaitingApproval;
    waiting.push_back(json::object{{"step", step.definition.name},
                                   {"uses", step.definition.kind},
                                   {"details", asks ? json::value(step.outputs) : step.progress}});
  }
  return waiting;
}

json::object to_json(const RunStep& step) {
  const platform::StepDefinition& definition = step.definition;
  return {{"name", definition.name},
          {"uses", definition.kind},
          {"needs", json::array(definition.needs.begin(), definition.needs.end())},
          {"state", shown_state(step)},
          {"attempt", step.attempt},
          {"worker", step.worker},
          {"progress", step.progress},
          {"outputs", step.outputs},
          {"error", step.error},
          {"started_at", or_null(step.started_at)},
          {"finished_at", or_null(step.finished_at)}};
}

json::object summary(const Run& run) {
  return {{"id", run.id.str()},
          {"workflow", run.workflow},
          {"workflow_hash", run.workflow_hash},
          {"state", platform::to_string(run.state)},
          {"waiting_for", waiting_for(run)},
          {"error", run.error},
          {"inputs", run.inputs},
          {"started_by", run.started_by},
          {"created_at", platform::format_time(run.created_at)},
          {"finished_at", or_null(run.finished_at)}};
}

json::object to_json(const Run& run) {
  json::object made = summary(run);
  json::array steps;
  for (const RunStep& step : run.steps) steps.push_back(to_json(step));
  made["steps"] = std::move(steps);
  return made;
}

json::object to_json(const RunEvent& event) {
  return {{"id", event.id},
          {"step", event.step},
          {"what", event.what},
          {"data", event.data},
          {"at", platform::format_time(event.at)}};
}

// Everything after line `after`, then what comes, until the run is over and its last line is sent.
void stream_events(platform::RunStore& runs, const platform::RunId& id, std::int64_t after, platform::EventSink& sink) {
  auto quiet_since = std::chrono::steady_clock::now();
  while (sink.open()) {
    const auto run = runs.find(id);  // before the journal: what was final then has its last line there
    const std::vector<RunEvent> events = runs.events(id, after, kEventPage);
    for (const RunEvent& event : events) {
      if (!sink.send(event.what, json::serialize(to_json(event)), std::to_string(event.id))) return;
      after = event.id;
    }
    if (!events.empty()) {
      quiet_since = std::chrono::steady_clock::now();
      continue;
    }
    if (!run || is_final(run->state)) return;
    if (std::chrono::steady_clock::now() - quiet_since > kKeepAlive) {
      if (!sink.keep_alive()) return;
      quiet_since = std::chrono::steady_clock::now();
    }
    std::this_thread::sleep_for(kLook);
  }
}

std::int64_t first_wanted(const Request& request) {
  const auto seen = request.header("Last-Event-ID");
  if (!seen) return request.query_int("after", 0, 0, INT64_MAX);
  Request asked;
  asked.query.emplace("Last-Event-ID", *seen);
  return asked.query_int("Last-Event-ID", 0, 0, INT64_MAX);
}

// The run with the steps only that are still to come: where `from` is named, it and all that follow it are.
Run to_come(Run run, const std::string& from) {
  std::set<std::string> again{from};
  for (std::size_t before = 0; before != again.size();) {
    before = again.size();
    for (const RunStep& step : run.steps) {
      for (const std::string& need : step.definition.needs) {
        if (again.contains(need)) again.insert(step.definition.name);
      }
    }
  }
  std::erase_if(run.steps, [&](const RunStep& step) {
    return step.state == platform::StepState::kSucceeded && !again.contains(step.definition.name);
  });
  return run;
}

class RunRoutes {
 public:
  explicit RunRoutes(RunServices services) : services_(services) {}

  Response start(const Request& request) const {
    const json::object body = body_of(request);
    platform::refuse_unknown_keys(body, {"workflow", "text", "inputs"}, "");
    platform::SavedWorkflow saved = wanted_workflow(request, body);
    const workflows::Workflow workflow = workflows::workflow_from_text(
        saved.text, saved.name.empty() ? "workflow" : saved.name, workflows::step_kinds());
    const json::value* inputs = platform::find(body, "inputs");
    Run run = workflows::new_run(workflow, inputs == nullptr ? json::object() : platform::as_object(*inputs, "inputs"),
                                 project_of(request), request.identity.name);
    check_sources(workflow, run);
    workflows::check_files(run, services_.files);
    saved.project = run.project;
    saved.name = workflow.name;
    saved.content_hash = workflow.content_hash;
    keep_text_of_run(services_.runs, saved);
    const platform::RunId id = platform::start_run(services_.runs, std::move(run)).id;
    Response response = platform::json_response(to_json(found(id)), 201);
    response.headers["Location"] = "/api/v1/runs/" + id.str();
    return response;
  }

  Response list(const Request& request) const {
    const std::int64_t limit = request.query_int("limit", 50, 1, 500);
    const auto runs = services_.runs.list(project_of(request), request.query_or("before", ""), limit);
    json::array items;
    for (const Run& run : runs) items.push_back(summary(run));
    return platform::json_response(page(std::move(items), limit, "before", runs.empty() ? "" : runs.back().id.str()));
  }

  Response show(const Request& request) const { return platform::json_response(to_json(require_run(request))); }

  Response events(const Request& request) const {
    const Run run = require_run(request);
    const std::int64_t after = first_wanted(request);
    if (request.header("Accept").value_or("").find("text/event-stream") != std::string::npos) {
      return platform::event_response([&runs = services_.runs, id = run.id, after](platform::EventSink& sink) {
        stream_events(runs, id, after, sink);
      });
    }
    json::array items;
    for (const RunEvent& event : services_.runs.events(run.id, after, request.query_int("limit", kEventPage, 1, 1000)))
      items.push_back(to_json(event));
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

  Response metrics(const Request& request) const {
    json::array items;
    for (const platform::RunMetric& metric :
         services_.runs.metrics(require_run(request).id, request.query_or("step", ""))) {
      items.push_back(json::object{
          {"step", metric.step}, {"name", metric.name}, {"position", metric.position}, {"value", metric.value}});
    }
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

  Response log(const Request& request) const {
    const Run run = require_run(request);
    json::array items;
    for (const platform::StepLogLine& line :
         services_.runs.log(run.id, request.query_or("step", ""), request.query_int("after", 0, 0, INT64_MAX),
                            request.query_int("limit", 500, 1, 5000))) {
      items.push_back(json::object{{"id", line.id},
                                   {"step", line.step},
                                   {"attempt", line.attempt},
                                   {"line", line.line},
                                   {"at", platform::format_time(line.at)}});
    }
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

  Response cancel(const Request& request) const {
    return changed(platform::cancel_run(services_.runs, require_run(request).id, request.identity.name));
  }

  Response retry(const Request& request) const {
    const json::object body = body_of(request);
    platform::refuse_unknown_keys(body, {"step"}, "");
    const Run run = require_run(request);
    const std::string from = body.contains("step") ? platform::require_string(body, "step", "") : first_failed(run);
    // Another server may have let it read more than this one does.
    workflows::check_files(to_come(run, from), services_.files);
    return changed(platform::retry_run(services_.runs, run.id, from, request.identity.name));
  }

  Response approve(const Request& request) const { return decide(request, true); }
  Response reject(const Request& request) const { return decide(request, false); }

 private:
  platform::SavedWorkflow wanted_workflow(const Request& request, const json::object& body) const {
    if (body.contains("workflow") == body.contains("text"))
      throw Error(ErrorCode::kInvalidInput, "give `workflow`, the name of one, or `text`, its YAML", "workflow");
    if (body.contains("text")) {
      platform::SavedWorkflow given;
      given.text = platform::require_string(body, "text", "");
      given.saved_by = request.identity.name;
      return given;
    }
    const std::string name = platform::require_string(body, "workflow", "");
    auto saved = named_workflow(services_.runs, project_of(request), name);
    if (!saved)
      throw Error(ErrorCode::kNotFound, "there is no workflow '" + name + "'; GET /api/v1/workflows lists them",
                  "workflow");
    return *std::move(saved);
  }

  // A misspelt source is told now, not by a step that failed.
  void check_sources(const workflows::Workflow& workflow, const Run& run) const {
    for (const workflows::WorkflowInput& input : workflow.inputs) {
      if (input.type != "source") continue;
      const std::string name = platform::string_or(run.inputs, input.name, "", "inputs");
      if (!services_.sources.find(run.project, name))
        throw Error(ErrorCode::kInvalidInput, "there is no source '" + name + "'; GET /api/v1/sources lists them",
                    "inputs." + input.name);
    }
  }

  static std::string first_failed(const Run& run) {
    for (const RunStep& step : run.steps) {
      if (step.state == platform::StepState::kFailed || step.state == platform::StepState::kCancelled)
        return step.definition.name;
    }
    throw Error(ErrorCode::kConflict,
                "run " + run.id.str() + " is " + std::string(platform::to_string(run.state)) +
                    " and no step failed; name the step to go on from in `step`",
                "step");
  }

  Response decide(const Request& request, bool approve) const {
    const json::object body = body_of(request);
    platform::refuse_unknown_keys(body, {"comment"}, "");
    const platform::ApprovalDecision decision{approve, request.identity.name, request.identity.role,
                                              platform::string_or(body, "comment", "", "")};
    const Run run = require_run(request);
    if (approve) workflows::check_files(to_come(run, request.param("step")), services_.files);
    return changed(platform::decide_approval(services_.runs, run.id, request.param("step"), decision));
  }

  Response changed(const Run& run) const { return platform::json_response(to_json(found(run.id))); }

  Run found(const platform::RunId& id) const {
    auto run = services_.runs.find(id);
    if (!run) throw Error(ErrorCode::kNotFound, "there is no run " + id.str() + "; GET /api/v1/runs lists them", "id");
    return *std::move(run);
  }

  Run require_run(const Request& request) const {
    const std::string& text = request.param("id");
    if (!platform::is_uuid(text))
      throw Error(ErrorCode::kNotFound, "not a run's id: " + text + "; GET /api/v1/runs lists them", "id");
    Run run = found(platform::RunId(text));
    if (run.project != project_of(request))
      throw Error(ErrorCode::kNotFound, "there is no run " + text + "; GET /api/v1/runs lists them", "id");
    return run;
  }

  RunServices services_;
};

}  // namespace

void add_run_routes(platform::RouteTable& table, RunServices services) {
  const Handlers<RunRoutes> bind(services);
  const std::string all = "/api/v1/runs", one = all + "/{id}", step = one + "/steps/{step}";
  const auto read = [&](const std::string& pattern, std::string summary, auto member,
                        std::vector<platform::QueryParameter> query = {}) {
    table.add({.method = Method::kGet,
               .pattern = pattern,
               .summary = std::move(summary),
               .permission = "runs.read",
               .handler = bind(member),
               .query = std::move(query)});
  };
  read(all, "Lists runs, newest first, with what each waits for", &RunRoutes::list,
       {{"before", "older than this run"}, {"limit", "at most so many"}});
  read(one, "Shows a run with its steps", &RunRoutes::show);
  read(one + "/events", "The run's journal; with Accept: text/event-stream as it grows, until the run is over",
       &RunRoutes::events, {{"after", "lines behind this one"}, {"limit", "at most so many"}});
  read(one + "/metrics", "The curves of a run: loss, learning rate, validation", &RunRoutes::metrics,
       {{"step", "of this step only"}});
  read(one + "/log", "What the steps said, oldest first", &RunRoutes::log,
       {{"step", "of this step only"}, {"after", "lines behind this one"}, {"limit", "the last so many"}});
  table.add({Method::kPost, all, "Starts a run of a workflow, by name or by its YAML", "runs.write",
             bind(&RunRoutes::start)});
  table.add({Method::kPost, one + "/cancel", "Asks a run to stop", "runs.write", bind(&RunRoutes::cancel)});
  table.add({Method::kPost, one + "/retry",
             "Runs a step and all that follow it again; the first that failed unless one is named", "runs.write",
             bind(&RunRoutes::retry)});
  table.add({Method::kPost, step + "/approve", "Says yes to a step that waits for approval", "runs.approve",
             bind(&RunRoutes::approve)});
  table.add({Method::kPost, step + "/reject", "Says no to a step that waits for approval", "runs.approve",
             bind(&RunRoutes::reject)});
}

}  // namespace web
