#include "platform/engine/worker.h"

#include <unistd.h>

#include <thread>

#include "platform/base/error.h"
#include "platform/base/shortened.h"
#include "platform/engine/expression.h"
#include "platform/engine/lease_keeper.h"
#include "platform/engine/run_control.h"
#include "platform/engine/scheduler.h"
#include "platform/store/database.h"

namespace platform {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kLongestError = 8192;
constexpr std::chrono::milliseconds kPauseForDatabase{1000};

RunStep& step_of(Run& run, const std::string& name) {
  for (RunStep& each : run.steps) {
    if (each.definition.name == name) return each;
  }
  throw Error(ErrorCode::kInternal, "run " + run.id.str() + " lost its step '" + name + "'");
}

std::string worker_lost(const RunStep& step) {
  return std::to_string(step.lost) +
         " workers in a row were lost while they ran this step, and none got further; the last was " + step.worker +
         ". It may need more memory than the machine has, or crash it: read the machine's own log, then retry from "
         "this "
         "step";
}

std::string host_and_process() {
  char host[256] = "host";
  ::gethostname(host, sizeof host - 1);
  return std::string(host) + "/" + std::to_string(::getpid());
}

}  // namespace

// How a try ended, as the worker sees it.
struct Worker::Outcome {
  StepHappening happening = StepHappening::kSucceeded;
  json::object outputs;
  std::string error;
  std::optional<std::chrono::milliseconds> wait_for;
  std::string cause = {};      // behind `error`, for the log
  bool database_away = false;  // the step needed the database while it was not there
};

class Worker::Context final : public StepContext {
 public:
  Context(Run run, const std::string& step, const Worker& worker)
      : run_(std::move(run)),
        step_(*run_.step(step)),
        work_folder_(worker.data_.work(run_.id.str(), step)),
        log_(worker.log_.with({{"run", run_.id.str()}, {"step", step}})),
        worker_(worker),
        deadline_(steady_clock::now() + step_.definition.timeout - step_.tried_for),
        keeper_(worker.store_, run_.id, step, step_.attempt, step_.fence, worker.options_.lease,
                worker.options_.heartbeat, log_) {}

  void prepare() {
    std::filesystem::create_directories(work_folder_);
    inputs_ = resolve(step_.definition.with, run_).as_object();
  }
  const Run& run() const override { return run_; }
  const RunStep& step() const override { return step_; }
  const json::object& inputs() const override { return inputs_; }
  const std::filesystem::path& work_folder() const override { return work_folder_; }
  const Log& log() const override { return log_; }
  void say(const std::string& line) override { keeper_.say(line); }
  void report_metric(const std::string& name, std::int64_t position, double value) override {
    keeper_.report_metric(name, position, value);
  }
  void report_progress(json::object progress) override { keeper_.report_progress(std::move(progress)); }
  bool should_stop() const override {
    return keeper_.lost() || keeper_.cancelled() || worker_.stopping() || timed_out();
  }

  bool may_wait() const override { return true; }

  bool timed_out() const { return time_left().count() <= 0; }
  // Of this attempt, over all its leases.
  std::chrono::milliseconds time_left() const {
    if (step_.definition.timeout.count() == 0) return std::chrono::milliseconds::max();
    return std::chrono::ceil<std::chrono::milliseconds>(deadline_ - steady_clock::now());
  }
  bool cancelled() const { return keeper_.cancelled(); }
  bool lost() const { return keeper_.lost(); }
  LeaseKeeper& keeper() { return keeper_; }

 private:
  Run run_;
  RunStep step_;
  json::object inputs_;
  std::filesystem::path work_folder_;
  Log log_;
  const Worker& worker_;
  steady_clock::time_point deadline_;
  LeaseKeeper keeper_;
};

Worker::Worker(RunStore& store, StepFactory make_step, DataFolder data, WorkerOptions options, Log log)
    : store_(store),
      make_step_(std::move(make_step)),
      data_(std::move(data)),
      options_(std::move(options)),
      log_(std::move(log)) {
  if (options_.name.empty()) options_.name = host_and_process();
}

void Worker::run() {
  bool failing = false;  // told when it begins and when it ends, not at every look
  while (!stopping()) {
    bool worked = false;
    try {
      worked = run_one();
      if (std::exchange(failing, false)) log_.info("looking for work goes on");
    } catch (const Error& error) {
      if (!std::exchange(failing, true))
        log_.warning("looking for work failed; trying until it works", {{"error", in_full(error)}});
    }
    if (!worked && !stopping()) std::this_thread::sleep_for(options_.idle);
  }
}

struct Worker::Leased {
  Run run;
  std::string step;
  std::string lost_worker;  // that had it and was lost; empty if none
};

std::optional<Worker::Leased> Worker::lease() {
  std::string lost_worker;
  auto picked = store_.change_next(options_.kinds, [&](Run& run, const std::string& name) {
    lost_worker.clear();
    std::vector<NewEvent> events;
    const auto happen = [&](StepHappening happening, json::object data) {
      change_step(run, name, happening);
      events.push_back({name, std::string(to_string(happening)), std::move(data)});
    };
    RunStep& step = step_of(run, name);
    if (step.state == StepState::kRunning) {
      ++step.lost;
      if (step.lost >= options_.losses && run.state == RunState::kRunning) {
        step.error = worker_lost(step);
        happen(StepHappening::kFailed, {{"worker", step.worker}, {"fence", step.fence}, {"error", step.error}});
        follow_up(run, events);
        return events;
      }
      lost_worker = step.worker;
      happen(StepHappening::kLeaseExpired, {{"worker", step.worker}, {"fence", step.fence}});
    }
    if (run.state == RunState::kCancelling) {
      happen(StepHappening::kCancelled, {});
      follow_up(run, events);
      return events;
    }
    // A try that was interrupted goes on under its number; `attempt` counts tries that failed by themselves, plus this
    // one.
    if (step.attempt == 0 || !step.error.empty()) {
      ++step.attempt;
      step.tried_for = std::chrono::milliseconds(0);
    }
    ++step.fence;
    step.error.clear();
    step.worker = options_.name;
    step.lease_for = options_.lease;
    happen(StepHappening::kLeased, {{"worker", options_.name}, {"fence", step.fence}, {"attempt", step.attempt}});
    return events;
  });
  if (!picked) return std::nullopt;
  return Leased{std::move(picked->first), std::move(picked->second), std::move(lost_worker)};
}

bool Worker::run_one() {
  auto leased = lease();
  if (!leased) return false;
  auto& [run, name, lost_worker] = *leased;
  if (run.step(name)->state != StepState::kRunning) return true;  // it was cancelled instead
  Context context(std::move(run), name, *this);
  context.log().info(
      "step begins",
      {{"kind", context.step().definition.kind}, {"attempt", context.step().attempt}, {"fence", context.step().fence}});
  if (!lost_worker.empty()) context.say("worker " + lost_worker + " was lost; the step goes on");
  const Outcome outcome = execute(context);
  context.keeper().flush();
  commit(context, outcome);
  return true;
}

Worker::Outcome Worker::execute(Context& context) {
  Outcome outcome;
  const auto fail = [&](const std::string& error, bool permanent) {
    outcome.error = shortened(error, kLongestError);
    const bool again = try_again(context.step(), permanent);
    outcome.happening = again ? StepHappening::kTryFailed : StepHappening::kFailed;
    if (again) outcome.wait_for = wait_before_next_try(context.step());
  };
  try {
    context.prepare();
    StepOutcome done = make_step_(context.step().definition.kind)->execute(context);
    outcome.outputs = std::move(done.outputs);
    if (done.kind == StepOutcome::Kind::kAsksApproval) outcome.happening = StepHappening::kAsksApproval;
    if (done.kind == StepOutcome::Kind::kWaits) {
      outcome.happening = StepHappening::kWaits;
      outcome.wait_for = std::min(done.wait, context.time_left());
    }
    if (done.kind == StepOutcome::Kind::kFailed) fail(done.error, true);
  } catch (const DatabaseUnavailable& error) {
    // Not the step's fault: it goes on under its number, as after a lost worker, and as often.
    outcome.database_away = true;
    outcome.cause = error.cause();
    outcome.error = shortened(error.what(), kLongestError);
    outcome.wait_for = kPauseForDatabase;
    const bool again = context.step().lost + 1 < options_.losses;
    outcome.happening = again ? StepHappening::kHandedBack : StepHappening::kFailed;
    if (again) outcome.error.clear();
  } catch (const Error& error) {
    const bool stopped = error.code() == ErrorCode::kCancelled;
    outcome.cause = error.cause();
    if (stopped && context.timed_out()) {
      fail("it took longer than its timeout of " + std::to_string(context.step().definition.timeout.count()) +
               " s: " + error.what(),
           false);
    } else if (stopped && context.cancelled()) {
      outcome.happening = StepHappening::kCancelled;
    } else if (stopped && (stopping() || context.lost())) {
      outcome.happening = StepHappening::kHandedBack;
    } else {
      fail(error.what(), !retryable(error.code()) && error.code() != ErrorCode::kInternal);
    }
  } catch (const std::exception& error) {
    fail(error.what(), false);
  }
  return outcome;
}

// Tries until the outcome is in, or belongs to nobody any more. An outcome that the database refuses (text that is no
// UTF-8, a number that JSON lacks) fails the step with the reason: to run it again would end the same. A worker that is
// asked to end gives up after one lease time: the lease has run out by then and another worker goes on from the work
// folder.
void Worker::commit(const Context& context, Outcome outcome) {
  std::chrono::milliseconds wait{100};
  bool refused = false;
  std::optional<steady_clock::time_point> give_up;
  while (true) {
    try {
      return commit_once(context, outcome);
    } catch (const Error& error) {
      const bool nobodys = error.code() == ErrorCode::kConflict || error.code() == ErrorCode::kNotFound;
      if (nobodys || (!retryable(error.code()) && refused)) {
        context.log().warning("the step's result is dropped", {{"reason", in_full(error)}});
        return;
      }
      if (!retryable(error.code())) {
        refused = true;
        outcome = {StepHappening::kFailed,
                   {},
                   "its result cannot be stored: " + shortened(error.what(), kLongestError),
                   {},
                   error.cause()};
        continue;
      }
      context.log().warning("the step's result cannot be stored yet", {{"reason", in_full(error)}});
    }
    if (stopping() && !give_up) give_up = steady_clock::now() + options_.lease;
    if (give_up && steady_clock::now() >= *give_up) return;
    std::this_thread::sleep_for(wait);
    wait = std::min(wait * 2, std::chrono::milliseconds(2000));
  }
}

void Worker::commit_once(const Context& context, const Outcome& outcome) {
  const std::string& name = context.step().definition.name;
  const std::int64_t fence = context.step().fence;
  store_.change(context.run().id, [&](Run& run) {
    RunStep& step = step_of(run, name);
    if (step.fence != fence)
      throw Error(ErrorCode::kConflict, "the lease of step '" + name + "' went to " + step.worker + " (fence " +
                                            std::to_string(step.fence) + ")");
    std::vector<NewEvent> events;
    if (step.state != StepState::kRunning) return events;  // an earlier try to commit did arrive
    json::object data{{"worker", options_.name}, {"fence", fence}};
    if (!outcome.error.empty()) data["error"] = outcome.error;
    change_step(run, name, outcome.happening);
    events.push_back({name, std::string(to_string(outcome.happening)), std::move(data)});
    step.lost = outcome.database_away ? step.lost + 1 : 0;  // this worker lives
    if (outcome.happening != StepHappening::kHandedBack) {
      step.outputs = outcome.outputs;
      step.waits = outcome.happening == StepHappening::kWaits;
    }
    step.error = outcome.error;
    step.wait_for = outcome.wait_for;
    follow_up(run, events);
    return events;
  });
  json::object told{{"as", to_string(outcome.happening)}, {"error", outcome.error}};
  if (!outcome.cause.empty()) told["cause"] = outcome.cause;
  context.log().info("step ended", std::move(told));
}

}  // namespace platform
