#include "platform/engine/scheduler.h"

#include <algorithm>
#include <set>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"
#include "platform/engine/expression.h"

namespace platform {
namespace {

RunStep& step_of(Run& run, const std::string& name) {
  for (RunStep& each : run.steps) {
    if (each.definition.name == name) return each;
  }
  throw Error(ErrorCode::kNotFound, "run " + run.id.str() + " has no step '" + name + "'");
}

// What a pending step becomes now; nullopt = it waits on. A condition that cannot be judged fails the step: an error
// that left here would cost the caller the result of the step that has just ended.
std::optional<StepHappening> decide(const Run& run, RunStep& step, json::object& data) {
  for (const std::string& need : step.definition.needs) {
    const RunStep* needed = run.step(need);
    if (needed == nullptr || !is_final(needed->state)) return std::nullopt;
    if (needed->state == StepState::kSucceeded) continue;
    data["reason"] = "step '" + need + "' is " + std::string(to_string(needed->state));
    return StepHappening::kNotNeeded;
  }
  try {
    if (holds(step.definition.condition, run)) return StepHappening::kNeedsMet;
  } catch (const Error& error) {
    step.error = "its condition cannot be judged: " + std::string(error.what());
    data["error"] = step.error;
    return StepHappening::kFailed;
  }
  data["reason"] = "its condition is false: " + step.definition.condition;
  return StepHappening::kNotNeeded;
}

void finish_if_over(const Run& run, Decision& decision) {
  if (is_final(run.state)) return;
  bool cancelled = false;
  for (const RunStep& step : run.steps) {
    if (!is_final(step.state)) return;
    if (step.state == StepState::kCancelled) cancelled = true;
    if (step.state == StepState::kFailed && decision.run_error.empty())
      decision.run_error = "step '" + step.definition.name + "': " + step.error;
  }
  decision.run = cancelled                     ? RunHappening::kSomeCancelled
                 : !decision.run_error.empty() ? RunHappening::kSomeFailed
                                               : RunHappening::kAllDone;
}

// Names of `step`, and of all steps that need it directly or not.
std::set<std::string> with_dependents(const Run& run, const std::string& step) {
  std::set<std::string> chosen{step};
  for (bool grew = true; grew;) {
    grew = false;
    for (const RunStep& each : run.steps) {
      const auto& needs = each.definition.needs;
      const bool depends =
          std::any_of(needs.begin(), needs.end(), [&](const std::string& need) { return chosen.count(need) != 0; });
      if (depends && chosen.insert(each.definition.name).second) grew = true;
    }
  }
  return chosen;
}

void add_unfinished_needs(const Run& run, const std::string& step, std::set<std::string>& chosen) {
  const RunStep* found = run.step(step);
  if (found == nullptr) return;
  for (const std::string& need : found->definition.needs) {
    const RunStep* needed = run.step(need);
    if (needed == nullptr || needed->state == StepState::kSucceeded) continue;
    chosen.insert(need);
    add_unfinished_needs(run, need, chosen);
  }
}

}  // namespace

StepChange change_step(Run& run, const std::string& step, StepHappening happening, json::object data) {
  RunStep& found = step_of(run, step);
  found.state = require_next(found.state, happening);
  return {step, happening, found.state, std::move(data)};
}

Decision advance(Run& run) {
  Decision decision;
  for (bool changed = run.state == RunState::kRunning; changed;) {
    changed = false;
    for (RunStep& step : run.steps) {
      if (step.state != StepState::kPending) continue;
      json::object data;
      const auto happening = decide(run, step, data);
      if (!happening) continue;
      decision.steps.push_back(change_step(run, step.definition.name, *happening, std::move(data)));
      changed = true;
    }
  }
  finish_if_over(run, decision);
  if (decision.run) run.state = require_next(run.state, *decision.run);
  return decision;
}

Decision cancel(Run& run) {
  Decision decision;
  run.state = require_next(run.state, RunHappening::kCancelRequested);
  decision.run = RunHappening::kCancelRequested;
  for (RunStep& step : run.steps) {
    if (is_final(step.state) || step.state == StepState::kRunning) continue;
    decision.steps.push_back(change_step(run, step.definition.name, StepHappening::kCancelled));
  }
  return decision;
}

Decision retry_from(Run& run, const std::string& step) {
  if (run.step(step) == nullptr) {
    std::vector<std::string> names;
    for (const RunStep& each : run.steps) names.push_back(each.definition.name);
    throw Error(ErrorCode::kNotFound, "run " + run.id.str() + " has no step '" + step + "'" + did_you_mean(step, names),
                "step");
  }
  Decision decision;
  run.state = require_next(run.state, RunHappening::kRetryRequested);
  decision.run = RunHappening::kRetryRequested;
  std::set<std::string> chosen = with_dependents(run, step);
  add_unfinished_needs(run, step, chosen);
  for (RunStep& each : run.steps) {
    if (chosen.count(each.definition.name) == 0) continue;
    decision.steps.push_back(change_step(run, each.definition.name, StepHappening::kRetryRequested));
    each.attempt = 0;
    each.lost = 0;
    each.waits = false;
    each.anew = true;
    each.outputs = {};
    each.error.clear();
  }
  return decision;
}

bool try_again(const RunStep& step, bool permanent) { return !permanent && step.attempt < step.definition.attempts; }

std::chrono::seconds wait_before_next_try(const RunStep& step) {
  constexpr std::chrono::seconds kLongest{600};
  std::chrono::seconds wait = step.definition.backoff;
  for (std::int64_t i = 1; i < step.attempt && wait < kLongest; ++i) wait *= 2;
  return std::min(wait, kLongest);
}

}  // namespace platform
