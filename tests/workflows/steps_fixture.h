// The real steps over a real database, a blob folder and a base small enough to train in a moment: whole runs through a
// worker, or one step with the outputs before it made up.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "deploy/deployments.h"
#include "deploy/model_release.h"
#include "platform/base/clock.h"
#include "platform/base/file.h"
#include "platform/engine/run_control.h"
#include "platform/engine/worker.h"
#include "platform/registry/model_registry.h"
#include "platform/store/blob_store.h"
#include "platform/store/dataset_store.h"
#include "platform/store/deployment_store.h"
#include "platform/store/model_store.h"
#include "platform/store/record_store.h"
#include "platform/store/run_store.h"
#include "tests/support/patience.h"
#include "tests/support/temp_database.h"
#include "tests/support/tiny_base.h"
#include "workflows/definitions.h"
#include "workflows/steps.h"

namespace tests {

namespace json = platform::json;

/// What a step sees when a test runs it alone.
class StepAlone final : public platform::StepContext {
 public:
  StepAlone(platform::Run run, const std::string& step, std::filesystem::path work_folder)
      : run_(std::move(run)), step_(*run_.step(step)), inputs_(step_.definition.with), folder_(std::move(work_folder)) {
    std::filesystem::create_directories(folder_);
  }
  const platform::Run& run() const override { return run_; }
  const platform::RunStep& step() const override { return step_; }
  const json::object& inputs() const override { return inputs_; }
  const std::filesystem::path& work_folder() const override { return folder_; }
  const platform::Log& log() const override { return log_; }
  void say(const std::string& line) override { said.push_back(line); }
  void report_metric(const std::string&, std::int64_t, double) override {}
  void report_progress(json::object) override {}
  bool should_stop() const override { return stop; }
  bool may_wait() const override { return true; }

  std::vector<std::string> said;
  bool stop = false;

 private:
  platform::Run run_;
  platform::RunStep step_;
  json::object inputs_;
  std::filesystem::path folder_;
  platform::Log log_ = platform::Log::silent();
};

class StepsFixture : public TempDatabase {
 protected:
  void SetUp() override {
    TempDatabase::SetUp();
    support::write_tiny_base(base());
    blobs_ = std::make_unique<platform::BlobStore>(data_.blobs());
    records_ = std::make_unique<platform::RecordStore>(database(), platform::Log::silent());
    datasets_ = std::make_unique<platform::DatasetStore>(database());
    models_ = std::make_unique<platform::ModelStore>(database());
    registry_ = std::make_unique<platform::ModelRegistry>(*models_, *datasets_);
    deployment_store_ = std::make_unique<platform::DeploymentStore>(database());
    deployments_ = std::make_unique<deploy::Deployments>(
        *deployment_store_, *blobs_, deploy::SigningKeys::open(data_.keys()), clock_, platform::Log::silent(),
        deploy::move_production(*registry_, platform::Log::silent()));
    runs_ = std::make_unique<platform::RunStore>(database());
    services_ = std::make_unique<workflows::StepServices>(
        workflows::StepServices{data_, *blobs_, records_.get(), datasets_.get(), registry_.get(), deployments_.get(),
                                deployment_store_.get(), {}, 1});
  }

  std::filesystem::path base() const { return folder_.path() / "base"; }
  std::filesystem::path table() const { return folder_.path() / "table.csv"; }

  /// 80 readings; those with a torque above `limit` are hot.
  void write_table(int limit) const {
    std::string lines = "torque,state\n";
    for (int i = 0; i < 80; ++i) lines += std::to_string(i) + (i > limit ? ",hot\n" : ",cold\n");
    platform::write_file_atomically(table(), lines);
  }

  /// The steps from the table to the adapter's scores; `more` are the lines of further steps.
  std::string flow(const std::string& more = {}) const {
    return "name: bearing\nsteps:\n  data:\n    uses: dataset.snapshot\n    with: {files: " + table().string() +
           ", profile: {name: bearing, fields: {torque: {kind: number}}, target: {field: state, task: classify, "
           "labels: "
           "[cold, hot], positive: cold}, split: {by: hash, validation: 0.2, test: 0.3}, prompt: \"torque {{ "
           "number:torque }}\"}}\n"
           "  tune: {uses: finetune.lora, needs: [data], with: {base: " +
           base().string() +
           ", dataset: \"${{ steps.data.dataset }}\", r: 2, min_steps: 12, max_steps: 12, evaluations: 1}}\n"
           "  score: {uses: model.evaluate, needs: [tune], with: {adapter: \"${{ steps.tune.adapter }}\", dataset: "
           "\"${{ "
           "steps.data.dataset }}\"}}\n" +
           more;
  }

  /// A step of a run whose earlier steps succeeded with these outputs: {kind, outputs}, each needing the one before.
  StepAlone alone(const std::string& kind, json::object with,
                  const std::vector<std::pair<std::string, json::object>>& before = {}) {
    platform::Run run;
    run.id = platform::RunId::make();
    run.workflow = "bearing";
    run.started_by = "kim";
    for (const auto& [each, outputs] : before) add_step(run, each, {}, outputs);
    add_step(run, kind, std::move(with), {});
    run.steps.back().state = platform::StepState::kRunning;
    return StepAlone(run, kind, data_.work(run.id.str(), kind));
  }
  platform::StepOutcome execute(StepAlone& context) {
    return workflows::step_factory(*services_)(context.step().definition.kind)->execute(context);
  }

  platform::RunId start(const std::string& text) {
    const workflows::Workflow workflow = workflows::workflow_from_text(text, "flow.yaml", workflows::step_kinds());
    return platform::start_run(*runs_, workflows::new_run(workflow, {}, "default", "kim")).id;
  }
  /// Runs steps until none is left that may be leased now or, within a minute (kPatience times that), later.
  void work_off() {
    platform::WorkerOptions options;
    options.name = "test";
    options.kinds = workflows::runnable_kinds();
    platform::Worker worker(*runs_, workflows::step_factory(*services_), data_, options, platform::Log::silent());
    const auto deadline = std::chrono::steady_clock::now() + kPatience * std::chrono::seconds(60);
    while (worker.run_one() || (anything_ready() && std::chrono::steady_clock::now() < deadline)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // a step may wait for a real thread to answer
    }
  }
  bool anything_ready() {
    for (const platform::Run& each : runs_->list("default", "", 100)) {
      const platform::Run whole = run(each.id);
      for (const platform::RunStep& step : whole.steps) {
        if (whole.state == platform::RunState::kRunning && step.state == platform::StepState::kReady) return true;
      }
    }
    return false;
  }
  platform::Run run(const platform::RunId& id) { return *runs_->find(id); }
  json::object outputs(const platform::RunId& id, const std::string& step) { return run(id).step(step)->outputs; }

  void add_agent(const std::string& name, const std::string& line) {
    platform::Agent agent;
    agent.name = name;
    agent.labels = {{"line", line}};
    deployment_store_->register_agent(agent);
    deployments_->agent_appeared(agent);
  }
  /// An agent that answers each offer with success, or with failure, as long as the object lives.
  class Answering {
   public:
    Answering(StepsFixture& fixture, std::string agent, bool success)
        : thread_([this, &fixture, agent = std::move(agent), success] {
            for (int key = 0; !stop_.load(); std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
              const auto offer = fixture.deployment_store_->offered_to("default", agent);
              if (!offer) continue;
              fixture.deployments_->report(*offer, agent, std::to_string(++key), "idle", "closed",
                                           success ? "success" : "failure", success ? "" : "refused",
                                           "as the test says");
            }
          }) {}
    ~Answering() {
      stop_.store(true);
      thread_.join();
    }

   private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
  };

  static void add_step(platform::Run& run, const std::string& kind, json::object with, const json::object& outputs) {
    platform::RunStep step;
    step.definition.name = step.definition.kind = kind;
    step.definition.with = std::move(with);
    if (!run.steps.empty()) step.definition.needs = {run.steps.back().definition.name};
    step.state = platform::StepState::kSucceeded;
    step.outputs = outputs;
    run.steps.push_back(std::move(step));
  }

  platform::TemporaryFolder folder_;
  platform::DataFolder data_{folder_.path() / "data"};
  platform::SystemClock clock_;
  std::unique_ptr<platform::BlobStore> blobs_;
  std::unique_ptr<platform::RecordStore> records_;
  std::unique_ptr<platform::DatasetStore> datasets_;
  std::unique_ptr<platform::ModelStore> models_;
  std::unique_ptr<platform::ModelRegistry> registry_;
  std::unique_ptr<platform::DeploymentStore> deployment_store_;
  std::unique_ptr<deploy::Deployments> deployments_;
  std::unique_ptr<platform::RunStore> runs_;
  std::unique_ptr<workflows::StepServices> services_;
};

}  // namespace tests
