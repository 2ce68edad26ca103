#include "platform/engine/run_control.h"

#include "platform/engine/scheduler.h"

namespace platform {
namespace {

std::vector<NewEvent> journal(const Decision& decision) {
  std::vector<NewEvent> events;
  for (const StepChange& change : decision.steps)
    events.push_back({change.step, std::string(to_string(change.happening)), change.data});
  if (!decision.run) return events;
  NewEvent end{"", std::string(to_string(*decision.run)), {}};
  if (!decision.run_error.empty()) end.data["error"] = decision.run_error;
  events.push_back(std::move(end));
  return events;
}

void check_may_decide(const Run& run, const RunStep& step, const ApprovalDecision& decision) {
  const json::object& rule = step.outputs;
  const std::string role = string_or(rule, "role", "", "approval");
  if (!role.empty() && decision.role != role && decision.role != "admin") {
    throw Error(ErrorCode::kForbidden,
                "step '" + step.definition.name + "' asks for the role '" + role + "', not '" + decision.role + "'");
  }
  if (string_or(rule, "not_by", "", "approval") == "starter" && decision.by == run.started_by) {
    throw Error(ErrorCode::kForbidden, "step '" + step.definition.name + "' asks for somebody other than " +
                                           run.started_by + ", who started the run");
  }
}

}  // namespace

void follow_up(Run& run, std::vector<NewEvent>& events) {
  const Decision decision = advance(run);
  if (decision.run) run.error = decision.run_error;
  for (NewEvent& event : journal(decision)) events.push_back(std::move(event));
}

Run start_run(RunStore& store, Run run) {
  run.state = RunState::kRunning;
  std::vector<NewEvent> events{
      {"", "started", {{"by", run.started_by}, {"workflow", run.workflow}, {"workflow_hash", run.workflow_hash}}}};
  follow_up(run, events);
  store.create(run, events);
  return run;
}

Run cancel_run(RunStore& store, const RunId& id, const std::string& by) {
  return store.change(id, [&](Run& run) {
    if (run.state == RunState::kCancelling) return std::vector<NewEvent>{};
    std::vector<NewEvent> events = journal(cancel(run));
    events.back().data["by"] = by;  // the line about the run itself stands last
    follow_up(run, events);
    return events;
  });
}

Run retry_run(RunStore& store, const RunId& id, const std::string& step, const std::string& by) {
  return store.change(id, [&](Run& run) {
    std::vector<NewEvent> events = journal(retry_from(run, step));
    events.back().data = {{"by", by}, {"from", step}};
    run.error.clear();
    follow_up(run, events);
    return events;
  });
}

Run decide_approval(RunStore& store, const RunId& id, const std::string& step, const ApprovalDecision& decision) {
  return store.change(id, [&](Run& run) {
    const RunStep* found = run.step(step);
    if (found == nullptr) throw Error(ErrorCode::kNotFound, "run " + id.str() + " has no step '" + step + "'", "step");
    if (found->state == StepState::kWaitingApproval) check_may_decide(run, *found, decision);
    const StepHappening happening = decision.approve ? StepHappening::kApproved : StepHappening::kRejected;
    json::object data{{"by", decision.by}, {"role", decision.role}, {"comment", decision.comment}};
    const StepChange change = change_step(run, step, happening, data);
    for (RunStep& each : run.steps) {
      if (each.definition.name != step) continue;
      if (decision.approve) each.outputs["approved_by"] = decision.by;
      if (!decision.approve)
        each.error = "rejected by " + decision.by + (decision.comment.empty() ? "" : ": " + decision.comment);
    }
    std::vector<NewEvent> events{{step, std::string(to_string(change.happening)), std::move(data)}};
    follow_up(run, events);
    return events;
  });
}

}  // namespace platform
