#include "platform/engine/worker.h"

#include <gtest/gtest.h>

#include <csignal>
#include <random>

#include "platform/base/file.h"
#include "platform/base/process.h"
#include "platform/engine/run_control.h"
#include "tests/platform/engine/counting_step.h"
#include "tests/support/temp_database.h"

namespace platform {
namespace {

using namespace std::chrono_literals;

RunStep step(std::string name, std::string kind, json::object with, std::vector<std::string> needs = {}) {
  RunStep made;
  made.definition.name = std::move(name);
  made.definition.kind = std::move(kind);
  made.definition.with = std::move(with);
  made.definition.needs = std::move(needs);
  return made;
}

class EngineFixture : public tests::TempDatabase {
 protected:
  void SetUp() override {
    TempDatabase::SetUp();
    store_holder_ = std::make_unique<RunStore>(database());
  }

  std::unique_ptr<Worker> worker(const std::string& name = "test") {
    WorkerOptions options = options_;
    options.name = name;
    return std::make_unique<Worker>(store(), test::make_test_step, DataFolder{folder_.path()}, options, Log::silent());
  }
  platform::Run start(std::vector<RunStep> steps) {
    platform::Run run;
    run.id = RunId::make();
    run.workflow = "test";
    run.started_by = "ada";
    run.inputs["to"] = 5;
    run.steps = std::move(steps);
    return start_run(store(), std::move(run));
  }
  void work_off() {
    const auto one = worker();
    while (one->run_one()) {
    }
  }
  std::vector<std::string> journal_of(const RunId& id, const std::string& step) {
    std::vector<std::string> lines;
    for (const RunEvent& event : store().events(id, 0, 1000)) {
      if (event.step == step) lines.push_back(event.what);
    }
    return lines;
  }

  RunStore& store() { return *store_holder_; }

  TemporaryFolder folder_;
  WorkerOptions options_{"test", {"ask", "count", "fail", "impatient", "mumble", "wait"}, 600ms, 100ms, 20ms};

 private:
  std::unique_ptr<RunStore> store_holder_;
};

// Waits for a condition on the run; false if it did not come within a minute.
bool until(RunStore& store, const RunId& id, const std::function<bool(const platform::Run&)>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < deadline) {
    if (holds(*store.find(id))) return true;
    std::this_thread::sleep_for(5ms);  // a real process is waited for
  }
  return false;
}

class WorkerDb : public EngineFixture {};
class WorkerKill : public EngineFixture {};

TEST_F(WorkerDb, RunsAChainAndHandsOutputsFromStepToStep) {
  const auto run = start(
      {step("a", "count", {{"to", "${{ inputs.to }}"}}), step("b", "count", {{"to", "${{ steps.a.count }}"}}, {"a"})});
  work_off();
  const auto done = store().find(run.id);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->state, RunState::kSucceeded) << done->error;
  EXPECT_EQ(done->step("b")->outputs.at("count").to_number<int>(), 5);
  EXPECT_EQ(journal_of(run.id, "b"), (std::vector<std::string>{"ready", "leased", "succeeded"}));
  EXPECT_EQ(journal_of(run.id, ""), (std::vector<std::string>{"started", "succeeded"}));
  EXPECT_EQ(store().metrics(run.id, "b").size(), 5u);
  EXPECT_EQ(store().log(run.id, "a", 0, 10).at(0).line, "counted to 5");
}

TEST_F(WorkerDb, AFailureThatMayPassIsTriedAgainAndThenFailsTheRun) {
  RunStep failing = step("a", "fail", {});
  failing.definition.attempts = 2;
  failing.definition.backoff = 0s;
  const auto run = start({failing, step("b", "count", {}, {"a"})});
  work_off();
  const auto done = store().find(run.id);
  EXPECT_EQ(done->state, RunState::kFailed);
  EXPECT_EQ(done->error, "step 'a': the peer is away");
  EXPECT_EQ(journal_of(run.id, "a"), (std::vector<std::string>{"ready", "leased", "try_failed", "leased", "failed"}));
  EXPECT_EQ(done->step("b")->state, StepState::kSkipped);
}

TEST_F(WorkerDb, AStepThatSaysItNeverWorksIsNotTriedAgain) {
  RunStep failing = step("a", "fail", {{"permanent", true}});
  failing.definition.attempts = 5;
  const auto run = start({failing});
  work_off();
  EXPECT_EQ(journal_of(run.id, "a"), (std::vector<std::string>{"ready", "leased", "failed"}));
}

TEST_F(WorkerDb, AStepThatSpeaksBrokenTextFailsOnceWithItsMessageMadeWhole) {
  for (const auto& [as, said] : {std::pair("error", "cut in"), std::pair("number", "its result cannot be stored"),
                                 std::pair("text", "its result cannot be stored")}) {
    RunStep mumbling = step("a", "mumble", {{"as", as}, {"pause_ms", 250}});
    mumbling.definition.attempts = 3;
    const auto run = start({mumbling});
    work_off();
    const auto done = store().find(run.id);
    EXPECT_EQ(done->state, RunState::kFailed);
    EXPECT_EQ(done->step("a")->fence, 1) << as << ": it ran again";
    EXPECT_NE(done->error.find(said), std::string::npos) << done->error;
    EXPECT_EQ(done->step("a")->progress, (json::object{{"loss", nullptr}, {"step", 3}}));
    EXPECT_EQ(store().log(run.id, "a", 0, 10).at(0).line, "half a syllable: ??");
  }
}

TEST_F(WorkerDb, ADatabaseThatIsAwayCostsAStepNoTryUntilItIsAwayTooOften) {
  options_.losses = 3;
  const auto patient = start({step("a", "impatient", {{"times", 2}})});
  const auto hopeless = start({step("a", "impatient", {{"times", 100}})});
  const auto one = worker();
  ASSERT_TRUE(until(store(), hopeless.id, [&](const platform::Run& now) {
    one->run_one();
    return is_final(now.state);
  }));
  while (one->run_one()) {
  }
  const auto done = store().find(patient.id);
  EXPECT_EQ(done->state, RunState::kSucceeded) << done->error;
  EXPECT_EQ(done->step("a")->attempt, 1);
  EXPECT_EQ(store().find(hopeless.id)->error, "step 'a': the database went away");
}

TEST_F(WorkerDb, AStepThatWaitsLeavesTheWorkerToOthersAndGoesOnUnderItsTry) {
  const auto run = start({step("a", "wait", {{"looks", 3}}), step("b", "count", {{"to", 2}})});
  const auto one = worker();
  ASSERT_TRUE(one->run_one());
  EXPECT_EQ(store().find(run.id)->step("a")->state, StepState::kReady);
  ASSERT_TRUE(one->run_one());
  EXPECT_EQ(store().find(run.id)->step("b")->state, StepState::kSucceeded);
  ASSERT_TRUE(until(store(), run.id, [&](const platform::Run& now) {
    one->run_one();
    return is_final(now.state);
  }));
  const auto done = store().find(run.id);
  EXPECT_EQ(done->step("a")->outputs.at("looks").to_number<int>(), 3);
  EXPECT_EQ(done->step("a")->attempt, 1);
  EXPECT_EQ(journal_of(run.id, "a"),
            (std::vector<std::string>{"ready", "leased", "waits", "leased", "waits", "leased", "succeeded"}));
}

TEST_F(WorkerDb, ATimeoutCountsFromTheFirstLeaseOfEachAttemptAndNotFromEveryLease) {
  RunStep slow = step("a", "wait", {{"looks", 1000}});
  slow.definition.timeout = 1s;
  slow.definition.attempts = 2;
  slow.definition.backoff = 0s;
  const auto run = start({slow});
  ASSERT_TRUE(until(store(), run.id, [&](const platform::Run& now) {
    worker()->run_one();  // another worker at each look
    return is_final(now.state);
  }));
  const auto done = store().find(run.id);
  const RunStep* ended = done->step("a");
  EXPECT_EQ(ended->state, StepState::kFailed);
  EXPECT_TRUE(ended->error.starts_with("it took longer than its timeout of 1 s: asked to stop at look"))
      << ended->error;
  EXPECT_EQ(ended->attempt, 2);
  EXPECT_GE(*ended->finished_at - *ended->started_at, 2s) << "the second attempt had its own second";
}

TEST_F(WorkerDb, AStepThatIsRetriedBeginsAnew) {
  const auto run = start({step("a", "count", {{"to", 2}})});
  work_off();
  const auto first = store().find(run.id)->step("a")->started_at;
  const auto again = retry_run(store(), run.id, "a", "ada");
  EXPECT_FALSE(store().find(run.id)->step("a")->started_at);
  EXPECT_TRUE(store().find(run.id)->step("a")->progress.is_null());
  work_off();
  EXPECT_GT(*store().find(run.id)->step("a")->started_at, *first);
}

TEST_F(WorkerDb, ApprovalWaitsForTheRightRoleAndNotForTheStarter) {
  const auto run = start({step("ok", "ask", {}), step("after", "count", {}, {"ok"})});
  work_off();
  EXPECT_EQ(store().find(run.id)->step("ok")->state, StepState::kWaitingApproval);
  EXPECT_THROW(decide_approval(store(), run.id, "ok", {true, "bob", "viewer", ""}), Error);
  EXPECT_THROW(decide_approval(store(), run.id, "ok", {true, "ada", "engineer", ""}), Error);
  decide_approval(store(), run.id, "ok", {true, "bob", "engineer", "looks right"});
  EXPECT_THROW(decide_approval(store(), run.id, "ok", {true, "bob", "engineer", ""}), Error);
  work_off();
  EXPECT_EQ(store().find(run.id)->state, RunState::kSucceeded);
}

TEST_F(WorkerDb, ARejectedApprovalFailsTheRunWithWhoAndWhy) {
  const auto run = start({step("ok", "ask", {})});
  work_off();
  const auto done = decide_approval(store(), run.id, "ok", {false, "bob", "admin", "too early"});
  EXPECT_EQ(done.state, RunState::kFailed);
  EXPECT_EQ(done.error, "step 'ok': rejected by bob: too early");
}

TEST_F(WorkerDb, AWorkerThatLostItsLeaseCannotCommit) {
  const auto run = start({step("a", "count", {{"to", 3}})});
  // The first worker's lease ends at once and its heart never beats, as if the machine slept; another one takes the
  // step.
  class Sleeper final : public Step {
   public:
    explicit Sleeper(std::function<void()> meanwhile) : meanwhile_(std::move(meanwhile)) {}
    StepOutcome execute(StepContext&) override {
      meanwhile_();
      return {StepOutcome::Kind::kSucceeded, {{"count", -1}}, ""};
    }
    std::function<void()> meanwhile_;
  };
  WorkerOptions options = options_;
  options.name = "sleeper";
  options.lease = 0ms;
  options.heartbeat = 60s;
  int taken = 0;
  Worker sleeper(
      store(),
      [&](const std::string&) {
        return std::make_unique<Sleeper>([&] { taken += worker("other")->run_one() ? 1 : 0; });
      },
      DataFolder{folder_.path()}, options, Log::silent());
  EXPECT_TRUE(sleeper.run_one());
  EXPECT_EQ(taken, 1);
  const auto done = store().find(run.id);
  EXPECT_EQ(done->step("a")->outputs.at("count").to_number<int>(), 3) << "the second worker's result counts";
  EXPECT_EQ(done->step("a")->fence, 2);
  EXPECT_EQ(journal_of(run.id, "a"),
            (std::vector<std::string>{"ready", "leased", "lease_expired", "leased", "succeeded"}));
  const auto said = store().log(run.id, "a", 0, 100);
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(said.front().line, "worker sleeper was lost; the step goes on");
}

TEST_F(WorkerDb, ACancelledRunStopsItsRunningStep) {
  const auto run = start({step("a", "count", {{"to", 100000}, {"pause_ms", 5}}), step("b", "count", {}, {"a"})});
  std::thread canceller([&] {
    while (store().find(run.id)->step("a")->state != StepState::kRunning) std::this_thread::yield();
    cancel_run(store(), run.id, "bob");
  });
  work_off();
  canceller.join();
  const auto done = store().find(run.id);
  EXPECT_EQ(done->state, RunState::kCancelled);
  EXPECT_EQ(done->step("a")->state, StepState::kCancelled);
  EXPECT_LT(done->step("a")->attempt, 2);
}

TEST_F(WorkerDb, TwoWorkersShareStepsAndNoStepRunsTwice) {
  std::vector<RunStep> steps;
  for (int i = 0; i < 12; ++i) steps.push_back(step("s" + std::to_string(i), "count", {{"to", 2}}));
  const auto run = start(steps);
  const auto work = [&](const std::string& name) {
    const auto one = worker(name);
    while (store().find(run.id)->state == RunState::kRunning) one->run_one();
  };
  std::thread other(work, "second");
  work("first");
  other.join();
  for (int i = 0; i < 12; ++i) EXPECT_EQ(store().find(run.id)->step("s" + std::to_string(i))->fence, 1);
}

class WorkerProcess {
 public:
  WorkerProcess(const std::string& connection, const std::filesystem::path& data, int losses = 10)
      : process_({std::string(std::getenv("ANNEAL_BIN") ? std::getenv("ANNEAL_BIN") : "build/dev/bin") +
                      "/engine_test_worker",
                  connection, data.string(), std::to_string(losses)},
                 {.log_file = data / "worker.log"}) {}
  Process& operator*() { return process_; }

 private:
  Process process_;
};

TEST_F(WorkerKill, AWorkerKilledAgainAndAgainLosesNothingAndTheRunFinishes) {
  const unsigned seed = std::random_device{}();
  RecordProperty("seed", static_cast<int>(seed));
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto run =
      start({step("a", "count", {{"to", 120}, {"pause_ms", 10}}),
             step("b", "count", {{"to", 120}, {"pause_ms", 10}}, {"a"}), step("c", "count", {{"to", 3}}, {"b"})});
  int kills = 0;
  for (; kills < 5; ++kills) {
    WorkerProcess worker(database().connection_string(), folder_.path());
    const auto fence_sum = [](const platform::Run& now) {
      return now.step("a")->fence + now.step("b")->fence + now.step("c")->fence;
    };
    const std::int64_t before = fence_sum(*store().find(run.id));
    ASSERT_TRUE(until(store(), run.id,
                      [&](const platform::Run& now) { return is_final(now.state) || fence_sum(now) > before; }));
    if (is_final(store().find(run.id)->state)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
    (*worker).signal(SIGKILL);
    (*worker).wait();
  }
  EXPECT_GE(kills, 3) << "too few kills hit running work";
  WorkerProcess last(database().connection_string(), folder_.path());
  ASSERT_TRUE(until(store(), run.id, [](const platform::Run& now) { return is_final(now.state); }));
  const auto done = store().find(run.id);
  EXPECT_EQ(done->state, RunState::kSucceeded) << done->error;
  for (const char* name : {"a", "b", "c"}) {
    const auto journal = journal_of(run.id, name);
    EXPECT_EQ(std::count(journal.begin(), journal.end(), "succeeded"), 1) << name;
    EXPECT_EQ(done->step(name)->attempt, 1) << "a lost worker costs no attempt";
  }
  for (const RunMetric& metric : store().metrics(run.id, "a"))
    EXPECT_EQ(metric.value, static_cast<double>(metric.position));
}

TEST_F(WorkerKill, AStepThatTakesEveryWorkerDownFailsInsteadOfGoingOnForEver) {
  const auto run = start({step("a", "crash", {{"times", 100}}), step("b", "count", {}, {"a"})});
  int workers = 0;
  for (; workers < 6 && !is_final(store().find(run.id)->state); ++workers) {
    WorkerProcess worker(database().connection_string(), folder_.path(), 3);
    ASSERT_TRUE(until(store(), run.id,
                      [&](const platform::Run& now) { return is_final(now.state) || (*worker).poll().has_value(); }));
  }
  const auto failed = store().find(run.id);
  ASSERT_EQ(failed->state, RunState::kFailed);
  EXPECT_EQ(workers, 4) << "three that it took down, and the one that found the third lease ended";
  EXPECT_NE(failed->error.find("3 workers in a row were lost"), std::string::npos) << failed->error;
  EXPECT_EQ(failed->step("b")->state, StepState::kSkipped);
  // A person may still retry it, and the count begins anew.
  EXPECT_EQ(retry_run(store(), run.id, "a", "ada").step("a")->lost, 0);
}

TEST_F(WorkerKill, AStepThatGetsFurtherEachTimeIsNotGivenUp) {
  const auto run = start({step("a", "crash", {{"times", 4}, {"gets_on", true}})});
  for (int workers = 0; workers < 6 && !is_final(store().find(run.id)->state); ++workers) {
    WorkerProcess worker(database().connection_string(), folder_.path(), 2);
    ASSERT_TRUE(until(store(), run.id,
                      [&](const platform::Run& now) { return is_final(now.state) || (*worker).poll().has_value(); }));
  }
  EXPECT_EQ(store().find(run.id)->state, RunState::kSucceeded) << store().find(run.id)->error;
}

TEST_F(WorkerKill, AWorkerAskedToEndHandsItsStepBackAndTheNextOneGoesOn) {
  const auto run = start({step("a", "count", {{"to", 60}, {"pause_ms", 10}})});
  {
    WorkerProcess worker(database().connection_string(), folder_.path());
    ASSERT_TRUE(
        until(store(), run.id, [](const platform::Run& now) { return now.step("a")->state == StepState::kRunning; }));
    (*worker).signal(SIGTERM);
    EXPECT_EQ((*worker).wait(), 0);
  }
  EXPECT_EQ(store().find(run.id)->step("a")->state, StepState::kReady);
  WorkerProcess next(database().connection_string(), folder_.path());
  ASSERT_TRUE(until(store(), run.id, [](const platform::Run& now) { return is_final(now.state); }));
  EXPECT_EQ(store().find(run.id)->state, RunState::kSucceeded);
  const auto journal = journal_of(run.id, "a");
  EXPECT_EQ(std::count(journal.begin(), journal.end(), "handed_back"), 1);
}

}  // namespace
}  // namespace platform
