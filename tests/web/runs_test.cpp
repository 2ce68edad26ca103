#include "web/api/runs.h"

#include <pqxx/pqxx>

#include "platform/engine/run_control.h"
#include "platform/engine/worker.h"
#include "platform/store/transaction.h"
#include "tests/web/api_fixture.h"
#include "web/api/workflows.h"
#include "workflows/definitions.h"
#include "workflows/steps.h"
#include "workflows/steps/approval_step.h"

namespace {

namespace json = platform::json;
using platform::Role;

const std::string kRuns = "/api/v1/runs";
constexpr const char* kFlow = R"yaml(
name: snap
inputs:
  source: {type: source}
  rows: {type: integer, default: 16, minimum: 1, maximum: 256}
steps:
  data: {uses: dataset.snapshot, with: {source: "${{ inputs.source }}", target: grade}}
  ok: {uses: approval, needs: [data], with: {role: approver, not_by: starter}}
)yaml";

/// Stands for a snapshot: says a word, draws a curve, and fails as long as the test asks for it.
class QuickStep final : public platform::Step {
 public:
  explicit QuickStep(const bool& fails) : fails_(fails) {}
  platform::StepOutcome execute(platform::StepContext& context) override {
    context.say("read the source");
    for (int i = 1; i <= 3; ++i) context.report_metric("loss", i, 1.0 / i);
    if (fails_) return {platform::StepOutcome::Kind::kFailed, {}, "the source is empty"};
    return {platform::StepOutcome::Kind::kSucceeded, {{"examples", 3}}, ""};
  }

 private:
  const bool& fails_;
};

/// Stands for a rollout: says how far it is, and ends as it is told.
class LookingStep final : public platform::Step {
 public:
  LookingStep(platform::StepOutcome::Kind kind, std::function<void()> meanwhile)
      : kind_(kind), meanwhile_(std::move(meanwhile)) {}
  platform::StepOutcome execute(platform::StepContext& context) override {
    context.report_progress({{"committed", 1}});
    meanwhile_();
    platform::StepOutcome outcome;
    outcome.kind = kind_;
    return outcome;
  }

 private:
  platform::StepOutcome::Kind kind_;
  std::function<void()> meanwhile_;
};

class RunApiDb : public tests::ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    runs_ = std::make_unique<platform::RunStore>(database());
    sources_ = std::make_unique<platform::SourceStore>(database());
    platform::Source source;
    source.name = "line-3";
    source.connector = "rest_push";
    sources_->create(source);
    platform::RouteTable routes;
    web::add_run_routes(routes, {*runs_, *sources_, files_});
    web::add_workflow_routes(routes, {*runs_});
    serve(std::move(routes));
    engineer_ = std::make_unique<platform::HttpClient>(client(Role::kEngineer));
  }

  void TearDown() override {
    engineer_.reset();  // a stopping server waits for open connections
    ApiFixture::TearDown();
  }

  static std::string by_text(json::object inputs = {{"source", "line-3"}}) {
    return json::serialize(json::object{{"text", kFlow}, {"inputs", std::move(inputs)}});
  }
  std::string start() { return std::string(engineer_->post(kRuns, by_text()).checked().json().at("id").as_string()); }
  json::value run(const std::string& id) { return engineer_->get(kRuns + "/" + id).checked().json(); }
  json::value step(const std::string& id, std::size_t index) { return run(id).at("steps").at(index); }

  /// Runs one step as a worker would. False if none is due.
  bool work() {
    platform::WorkerOptions options;
    options.name = "tester";
    options.kinds = {"dataset.snapshot", "approval"};
    const auto make = [this](const std::string& kind) -> std::unique_ptr<platform::Step> {
      if (kind == "approval") return std::make_unique<workflows::ApprovalStep>(services_);
      return std::make_unique<QuickStep>(fails_);
    };
    return platform::Worker(*runs_, make, {folder_.path()}, options, platform::Log::silent()).run_one();
  }
  std::string waiting_run() {
    const std::string id = start();
    while (work()) {
    }
    EXPECT_EQ(step(id, 1).at("state"), "waiting_approval") << json::serialize(run(id));
    return id;
  }

  std::unique_ptr<platform::RunStore> runs_;
  std::unique_ptr<platform::SourceStore> sources_;
  std::unique_ptr<platform::HttpClient> engineer_;
  bool fails_ = false;
  platform::TemporaryFolder folder_;

 private:
  connectors::FileAccess files_{{}, {folder_.path()}};
  platform::BlobStore blobs_{folder_.path() / "blobs"};
  workflows::StepServices services_{{folder_.path()}, blobs_};
};

TEST_F(RunApiDb, StartsAWorkflowByItsTextAndByItsName) {
  const auto by_yaml = engineer_->post(kRuns, by_text()).checked();
  EXPECT_EQ(by_yaml.status, 201);
  const json::value made = by_yaml.json();
  EXPECT_EQ(by_yaml.headers.at("Location"), kRuns + "/" + std::string(made.at("id").as_string()));
  EXPECT_EQ(made.at("workflow"), "snap");
  EXPECT_EQ(made.at("inputs"), json::value({{"source", "line-3"}, {"rows", 16}})) << "defaults are settled";
  EXPECT_EQ(made.at("started_by"), "engineer");
  EXPECT_EQ(made.at("steps").at(0).at("state"), "ready");
  EXPECT_EQ(made.at("steps").at(1).at("needs"), json::value({"data"}));
  const json::value ready =
      engineer_->post(kRuns, R"({"workflow":"robot-navigation","inputs":{"source":"line-3"}})").checked().json();
  EXPECT_EQ(ready.at("workflow"), "robot-navigation");
  EXPECT_EQ(engineer_->get("/api/v1/workflows/robot-navigation").checked().json().at("ready"), json::value(true))
      << "a run of it makes no copy that would hide it";
  engineer_->post(kRuns, R"({"workflow":"snap","inputs":{"source":"line-3","rows":"32"}})").checked();
  EXPECT_EQ(engineer_->get(kRuns + "?limit=1").checked().json().at("items").at(0).at("inputs").at("rows"),
            json::value(32))
      << "a form's text becomes a number";
  const json::value texts =
      engineer_->post(kRuns, R"({"workflow":"adapt-table","inputs":{"source":"line-3","target":"1.10"}})")
          .checked()
          .json();
  EXPECT_EQ(texts.at("inputs").at("target"), "1.10") << "and a text stays one";
}

TEST_F(RunApiDb, WhatDoesNotFitIsRefusedAndNothingStarts) {
  const auto refused = [&](const std::string& body, const std::string& told, int status = 400) {
    const auto answer = engineer_->post(kRuns, body);
    EXPECT_EQ(answer.status, status) << body;
    EXPECT_NE(answer.body.find(told), std::string::npos) << told << " in " << answer.body;
  };
  refused(R"({"workflow":"robot-navigatoin","inputs":{"source":"line-3"}})", "there is no workflow 'robot-navigatoin'",
          404);
  refused(by_text({{"source", "line-4"}}), "there is no source 'line-4'");
  refused(by_text(json::object()), "input 'source' is missing");
  refused(by_text({{"source", "line-3"}, {"rows", 999}}), "rows");
  refused(by_text({{"source", "line-3"}, {"row", 5}}), "did you mean 'rows'?");
  refused(by_text({{"source", "line-3"}, {"rows", "many"}}), "rows");
  refused(R"({"text":"name: x\nsteps:\n  a: {uses: nothing}\n"})", "3:13");
  refused(R"({"text":"name: x","workflow":"x"})", "give `workflow`");
  refused(R"({"inputs":{}})", "give `workflow`");
  refused(R"({"workflow":"snap","input":{}})", "did you mean 'inputs'?");
  refused(R"({"workflow":"adapt-table","inputs":[]})", "inputs");
  EXPECT_TRUE(engineer_->get(kRuns).checked().json().at("items").as_array().empty());
}

TEST_F(RunApiDb, ARunReadsOnlyFilesThatTheServerMayReadForPeople) {
  const auto start = [&](const std::string& path) {
    const std::string text =
        "name: x\nsteps:\n  data: {uses: dataset.snapshot, with: {files: \"" + path + "\", target: grade}}\n";
    return engineer_->post(kRuns, json::serialize(json::object{{"text", text}}));
  };
  const auto refused = start("/etc/passwd");
  EXPECT_EQ(refused.status, 403) << refused.body;
  EXPECT_NE(refused.body.find("--files-from"), std::string::npos) << refused.body;
  EXPECT_TRUE(engineer_->get(kRuns).checked().json().at("items").as_array().empty());
  EXPECT_EQ(start((folder_.path() / "inbox/parts.csv").string()).status, 201);
}

TEST_F(RunApiDb, ARunThatAnotherServerLetReadMoreGoesOnHereOnlyWithinWhatThisOneMayRead) {
  const workflows::Workflow flow = workflows::workflow_from_text(
      "name: x\nsteps:\n  ok: {uses: approval, with: {role: engineer}}\n  data: {uses: dataset.snapshot, needs: [ok], "
      "with: {files: /etc/passwd, target: grade}}\n",
      "x", workflows::step_kinds());
  const std::string id = platform::start_run(*runs_, workflows::new_run(flow, {}, "default", "admin")).id.str();
  EXPECT_EQ(engineer_->post(kRuns + "/" + id + "/steps/ok/approve", "{}").status, 403);
  EXPECT_EQ(engineer_->post(kRuns + "/" + id + "/retry", R"({"step":"ok"})").status, 403);
}

TEST_F(RunApiDb, ListsNewestFirstAndSaysWhereTheRestBegins) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(start());
  std::vector<std::string> seen;
  std::string query = "limit=2";
  for (int page = 0; page < 3; ++page) {
    const json::value answer = engineer_->get(kRuns + "?" + query).checked().json();
    for (const json::value& item : answer.at("items").as_array()) seen.emplace_back(item.at("id").as_string());
    if (!answer.as_object().contains("next")) break;
    const std::string next(answer.at("next").as_string());
    EXPECT_EQ(next.rfind("before=", 0), 0u) << next;
    query = "limit=2&" + next;
  }
  std::reverse(ids.begin(), ids.end());
  EXPECT_EQ(seen, ids);
  EXPECT_EQ(engineer_->get(kRuns + "?before=yesterday").status, 400);
  EXPECT_EQ(engineer_->get(kRuns + "?limit=0").status, 400);
}

TEST_F(RunApiDb, ShowsStepsCurvesAndWhatTheStepsSaid) {
  const std::string id = waiting_run();
  const json::value data = step(id, 0);
  EXPECT_EQ(data.at("uses"), "dataset.snapshot");
  EXPECT_EQ(data.at("state"), "succeeded");
  EXPECT_EQ(data.at("attempt"), json::value(1));
  EXPECT_EQ(data.at("worker"), "tester");
  EXPECT_EQ(data.at("outputs").at("examples"), json::value(3));
  EXPECT_TRUE(data.at("finished_at").is_string());
  const json::value curve = engineer_->get(kRuns + "/" + id + "/metrics?step=data").checked().json();
  ASSERT_EQ(curve.at("items").as_array().size(), 3u);
  EXPECT_EQ(curve.at("items").at(1),
            json::value({{"step", "data"}, {"name", "loss"}, {"position", 2}, {"value", 0.5}}));
  EXPECT_TRUE(engineer_->get(kRuns + "/" + id + "/metrics?step=ok").checked().json().at("items").as_array().empty());
  const json::value log = engineer_->get(kRuns + "/" + id + "/log").checked().json();
  ASSERT_EQ(log.at("items").as_array().size(), 2u);
  EXPECT_EQ(log.at("items").at(0).at("line"), "read the source");
  EXPECT_EQ(log.at("items").at(1).at("step"), "ok");
  const std::string first = json::serialize(log.at("items").at(0).at("id"));
  EXPECT_EQ(engineer_->get(kRuns + "/" + id + "/log?after=" + first).checked().json().at("items").as_array().size(),
            1u);
}

TEST_F(RunApiDb, OnlyTheRoleThatAStepAsksForDecidesAndNotWhoStartedTheRun) {
  const std::string id = waiting_run(), decision = kRuns + "/" + id + "/steps/ok/approve";
  const auto by_starter = engineer_->post(decision, "{}");
  EXPECT_EQ(by_starter.status, 403) << by_starter.body;
  EXPECT_NE(by_starter.body.find("asks for the role 'approver'"), std::string::npos) << by_starter.body;
  EXPECT_EQ(client(Role::kOperator).post(decision, "{}").status, 403) << "an operator may not decide at all";
  auto approver = client(Role::kApprover);
  EXPECT_EQ(approver.post(decision, R"({"coment":"x"})").status, 400);
  EXPECT_EQ(approver.post(kRuns + "/" + id + "/steps/no/approve", "{}").status, 404);
  EXPECT_EQ(approver.post(kRuns + "/" + id + "/steps/data/approve", "{}").status, 409) << "it does not wait";
  const json::value done = approver.post(decision, R"({"comment":"seen on line 3"})").checked().json();
  EXPECT_EQ(done.at("state"), "succeeded");
  EXPECT_EQ(done.at("steps").at(1).at("outputs").at("approved_by"), "approver");
  EXPECT_EQ(approver.post(decision, "{}").status, 409) << "it is decided";
}

TEST_F(RunApiDb, ARunThatWaitsSaysForWhatInListsToo) {
  const std::string id = waiting_run();
  start();
  const json::value items = engineer_->get(kRuns).checked().json().at("items");
  EXPECT_TRUE(items.at(0).at("waiting_for").as_array().empty()) << "it goes on";
  EXPECT_EQ(items.at(1).at("state"), "running");
  for (const json::value& waiting : {items.at(1), run(id)}) {
    ASSERT_EQ(waiting.at("waiting_for").as_array().size(), 1u) << json::serialize(waiting);
    EXPECT_EQ(waiting.at("waiting_for").at(0).at("step"), "ok");
    EXPECT_EQ(waiting.at("waiting_for").at(0).at("uses"), "approval");
    EXPECT_EQ(waiting.at("waiting_for").at(0).at("details").at("role"), "approver");
  }
  client(Role::kApprover).post(kRuns + "/" + id + "/steps/ok/approve", "{}").checked();
  EXPECT_TRUE(run(id).at("waiting_for").as_array().empty());
}

TEST_F(RunApiDb, ARunThatWaitsForARolloutSaysSoBetweenTwoLooksAndAtThem) {
  platform::Run made;
  made.id = platform::RunId::make();
  made.workflow = "ship";
  platform::RunStep out;
  out.definition.name = "out";
  out.definition.kind = "deploy.rollout";
  made.steps.push_back(out);
  const std::string id = platform::start_run(*runs_, std::move(made)).id.str();
  EXPECT_TRUE(run(id).at("waiting_for").as_array().empty()) << "it has not begun";
  json::value at_a_look;
  const auto look = [&](platform::StepOutcome::Kind kind) {
    platform::WorkerOptions options;
    options.kinds = {"deploy.rollout"};
    const auto make = [&](const std::string&) {
      return std::make_unique<LookingStep>(kind, [&] { at_a_look = run(id); });
    };
    return platform::Worker(*runs_, make, {folder_.path()}, options, platform::Log::silent()).run_one();
  };
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(look(platform::StepOutcome::Kind::kWaits));
    EXPECT_EQ(step(id, 0).at("state"), "waiting");
    const json::value listed = engineer_->get(kRuns).checked().json().at("items").at(0);
    EXPECT_EQ(listed.at("waiting_for").at(0).at("uses"), "deploy.rollout") << json::serialize(listed);
    EXPECT_EQ(listed.at("waiting_for").at(0).at("details").at("committed"), json::value(1));
  }
  EXPECT_EQ(at_a_look.at("steps").at(0).at("state"), "waiting") << "the second look";
  ASSERT_TRUE(look(platform::StepOutcome::Kind::kSucceeded));
  EXPECT_TRUE(run(id).at("waiting_for").as_array().empty());
  EXPECT_EQ(step(id, 0).at("state"), "succeeded");
}

TEST_F(RunApiDb, WhoStartedTheRunDoesNotDecideEvenAsAnAdmin) {
  auto admin = client(Role::kAdmin);
  const std::string id(admin.post(kRuns, by_text()).checked().json().at("id").as_string());
  while (work()) {
  }
  const auto refused = admin.post(kRuns + "/" + id + "/steps/ok/approve", "{}");
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("who started the run"), std::string::npos) << refused.body;
}

TEST_F(RunApiDb, ARejectedStepFailsTheRunAndSaysWhy) {
  const std::string id = waiting_run();
  const json::value run = client(Role::kApprover)
                              .post(kRuns + "/" + id + "/steps/ok/reject", R"({"comment":"too many false alarms"})")
                              .checked()
                              .json();
  EXPECT_EQ(run.at("state"), "failed");
  EXPECT_EQ(run.at("steps").at(1).at("error"), "rejected by approver: too many false alarms");
}

TEST_F(RunApiDb, ARunIsCancelledOnce) {
  const std::string id = start();
  const json::value run = engineer_->post(kRuns + "/" + id + "/cancel", "").checked().json();
  EXPECT_EQ(run.at("state"), "cancelled");
  EXPECT_FALSE(work()) << "no worker takes its steps any more";
  EXPECT_EQ(engineer_->post(kRuns + "/" + id + "/cancel", "").status, 409);
}

TEST_F(RunApiDb, AFailedStepIsRetriedWithAllThatFollowsIt) {
  fails_ = true;
  const std::string id = start();
  EXPECT_EQ(engineer_->post(kRuns + "/" + id + "/retry", "{}").status, 409) << "it goes on";
  while (work()) {
  }
  EXPECT_EQ(run(id).at("state"), "failed");
  EXPECT_EQ(step(id, 0).at("error"), "the source is empty");
  EXPECT_EQ(step(id, 1).at("state"), "skipped");
  fails_ = false;
  EXPECT_EQ(engineer_->post(kRuns + "/" + id + "/retry", R"({"step":"dta"})").status, 404);
  EXPECT_EQ(engineer_->post(kRuns + "/" + id + "/retry", "{}").checked().json().at("state"), "running");
  while (work()) {
  }
  EXPECT_EQ(step(id, 0).at("state"), "succeeded");
  client(Role::kApprover).post(kRuns + "/" + id + "/steps/ok/approve", "{}").checked();
  EXPECT_EQ(engineer_->post(kRuns + "/" + id + "/retry", "{}").status, 409) << "no step failed";
  EXPECT_EQ(
      engineer_->post(kRuns + "/" + id + "/retry", R"({"step":"ok"})").checked().json().at("steps").at(1).at("state"),
      "ready");
}

TEST_F(RunApiDb, TheJournalIsReadOnFromAnyLine) {
  const std::string id = waiting_run();
  const json::value all = engineer_->get(kRuns + "/" + id + "/events").checked().json();
  const json::array& lines = all.at("items").as_array();
  ASSERT_GE(lines.size(), 6u);
  EXPECT_EQ(lines[0].at("what"), "started");
  EXPECT_EQ(lines[0].at("data").at("by"), "engineer");
  const std::string third = json::serialize(lines[2].at("id"));
  const json::value rest = engineer_->get(kRuns + "/" + id + "/events?after=" + third).checked().json();
  EXPECT_EQ(rest.at("items").as_array().size(), lines.size() - 3);
  EXPECT_EQ(engineer_->get(kRuns + "/" + id + "/events?limit=2").checked().json().at("items").as_array().size(), 2u);
  EXPECT_EQ(engineer_->get(kRuns + "/" + id + "/events?after=x").status, 400);
}

TEST_F(RunApiDb, EventsComeAsTheyHappenUntilTheRunIsOverAndGoOnAfterTheLastOneSeen) {
  const std::string id = start(), events = kRuns + "/" + id + "/events";
  auto approver = client(Role::kApprover);
  auto listener = client(Role::kViewer);
  std::vector<std::string> told;
  std::string after_leased;
  listener.events(events, [&](const platform::ServerEvent& event) {
    const json::value line = json::parse(event.data);
    told.push_back(std::string(line.at("step").as_string()) + ":" + event.event);
    EXPECT_EQ(event.id, json::serialize(line.at("id")));
    if (told.back() == "data:ready" || told.back() == "ok:ready") {
      EXPECT_TRUE(work());
    }
    if (told.back() == "data:leased") after_leased = event.id;
    if (event.event == "waiting_approval") approver.post(kRuns + "/" + id + "/steps/ok/approve", "{}").checked();
    return true;
  });
  ASSERT_GE(told.size(), 8u);
  EXPECT_EQ(told.front(), ":started");
  EXPECT_EQ(told.back(), ":succeeded") << "the stream ends with the run";
  std::vector<std::string> rest;
  listener.events(
      events, [&](const platform::ServerEvent& event) { return rest.push_back(event.event), true; }, after_leased);
  ASSERT_EQ(rest.size(), told.size() - 3) << "after started, data:ready and data:leased";
  EXPECT_EQ(rest.front(), "succeeded");
  EXPECT_EQ(listener.get(events, {{"Accept", "text/event-stream"}, {"Last-Event-ID", "soon"}}).status, 400);
}

TEST_F(RunApiDb, ARunOfAnotherProjectIsNotThere) {
  platform::transact(database(), [](pqxx::work& work) { work.exec0("INSERT INTO projects (id) VALUES ('other')"); });
  platform::Run foreign;
  foreign.id = platform::RunId::make();
  foreign.project = "other";
  foreign.workflow = "snap";
  platform::RunStep step;
  step.definition.name = "ok";
  step.definition.kind = "approval";
  foreign.steps.push_back(step);
  platform::start_run(*runs_, foreign);
  auto admin = client(Role::kAdmin);
  const std::string one = kRuns + "/" + foreign.id.str();
  for (const std::string path : {"", "/events", "/metrics", "/log"})
    EXPECT_EQ(admin.get(one + path).status, 404) << path;
  for (const std::string path : {"/cancel", "/retry", "/steps/ok/approve", "/steps/ok/reject"})
    EXPECT_EQ(admin.post(one + path, "{}").status, 404) << path;
  EXPECT_TRUE(admin.get(kRuns).checked().json().at("items").as_array().empty());
  EXPECT_EQ(runs_->find(foreign.id)->state, platform::RunState::kRunning);
  for (const std::string id : {"7", "01a20c66-0000-7000-8000-000000000000"})
    EXPECT_EQ(admin.get(kRuns + "/" + id).status, 404) << id;
}

TEST_F(RunApiDb, AViewerSeesRunsAndChangesNothing) {
  const std::string one = kRuns + "/" + start();
  auto viewer = client(Role::kViewer);
  EXPECT_EQ(viewer.get(one).status, 200);
  EXPECT_EQ(viewer.post(kRuns, by_text()).status, 403);
  for (const std::string path : {"/cancel", "/retry", "/steps/ok/approve", "/steps/ok/reject"})
    EXPECT_EQ(viewer.post(one + path, "{}").status, 403) << path;
  EXPECT_EQ(client_with("").get(one).status, 401);
}

}  // namespace
