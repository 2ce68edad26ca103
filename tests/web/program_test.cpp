// The program `anneal` as people type it, against a real server.
#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/support/plant.h"

namespace tests {
namespace {

platform::CommandOutput anneal(std::vector<std::string> arguments,
                               std::map<std::string, std::string> environment = {}) {
  arguments.insert(arguments.begin(), program("anneal"));
  platform::ProcessOptions options;
  environment.emplace("OMP_WAIT_POLICY", "passive");
  environment.emplace("ANNEAL_DATA", "/nonexistent/anneal");  // never the data of whoever runs the tests
  options.environment = std::move(environment);
  return platform::run_command(arguments, options);
}

#define EXPECT_SAYS(output, words) EXPECT_NE((output).text.find(words), std::string::npos) << (output).text

class OwnFolder {
 public:
  OwnFolder() {
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  }  // the database belongs to another user
  std::filesystem::path path() const { return folder_.path(); }
  std::string write(const std::string& name, const std::string& text) const {
    platform::write_file_atomically(folder_.path() / name, text);
    return folder_.path() / name;
  }

 private:
  platform::TemporaryFolder folder_;
};

// The answer did not arrive, so the command has failed, whatever it computed.
TEST(Program, AFullDiskBehindStandardOutputIsNoSuccess) {
  const platform::CommandOutput output =
      platform::run_command({"/bin/sh", "-c", "'" + program("anneal") + "' help > /dev/full; echo code $?"});
  EXPECT_SAYS(output, "code 1");
  EXPECT_SAYS(output, "standard output cannot be written");
}

TEST(Program, AnErrorNamesItsStableCode) {
  const platform::CommandOutput output = anneal({"train", "--bse", "x"});
  EXPECT_SAYS(output, "[invalid_input]");
  EXPECT_EQ(output.exit_code, 2);
}

class ClientEndToEnd : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<OwnFolder>();
    server_ = std::make_unique<ServerProcess>(folder_->path() / "server", std::vector<std::string>{"--no-worker"});
    server_->start();
  }
  static void TearDownTestSuite() {
    server_.reset();
    folder_.reset();
  }
  /// On the server's data folder.
  static platform::CommandOutput here(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--data-folder", server_->data().root.string()});
    return anneal(std::move(arguments));
  }

  static std::unique_ptr<OwnFolder> folder_;
  static std::unique_ptr<ServerProcess> server_;
};
std::unique_ptr<OwnFolder> ClientEndToEnd::folder_;
std::unique_ptr<ServerProcess> ClientEndToEnd::server_;

TEST_F(ClientEndToEnd, ATableWithABadLineIsStoredButForThatLine) {
  const auto made = here({"sources", "create", "line-3", "--connector", "rest_push"});
  EXPECT_EQ(made.exit_code, 0) << made.text;
  const std::string file = folder_->write("parts.csv", "part,torque\n1,40.5\n2,41.0,surplus\n3,39.5\n");
  const auto sent = here({"ingest", "line-3", file});
  EXPECT_EQ(sent.exit_code, 2) << sent.text;
  EXPECT_SAYS(sent, "accepted 2, duplicates 0, rejected 1");
  EXPECT_SAYS(sent, file + ":3:");
  EXPECT_EQ(here({"ingest", "line-3", file, "--tolerate-rejected"}).exit_code, 0);
  const auto shown = here({"sources", "show", "line-3"});
  EXPECT_SAYS(shown, "records");
  EXPECT_EQ(server_->client().get("/api/v1/sources/line-3").at("records"), json::value(2))
      << "sending a file twice stores it once";
}

TEST_F(ClientEndToEnd, WorkflowsAreListedShownSavedAndRun) {
  EXPECT_SAYS(here({"workflows", "list"}), "robot-navigation");
  EXPECT_SAYS(here({"workflows", "show", "robot-navigation"}), "uses: finetune.lora");
  const std::string file =
      folder_->write("ask.yaml", "name: ask\ndescription: 사람에게 묻는다\nsteps:\n  ok: {uses: approval}\n");
  const auto saved = here({"workflows", "save", file});
  EXPECT_EQ(saved.exit_code, 0) << saved.text;
  EXPECT_SAYS(here({"workflows", "list"}), "사람에게 묻는다");
  EXPECT_SAYS(here({"runs", "list", "--limit", "1"}), "No run yet");
  const auto started = here({"runs", "start", "ask", "--json"});
  ASSERT_EQ(started.exit_code, 0) << started.text;
  const std::string id(json::parse(started.text).at("id").as_string());
  EXPECT_SAYS(here({"runs", "list"}), "ask");
  EXPECT_SAYS(here({"runs", "show", id}), "approval");
  const auto cancelled = here({"runs", "cancel", id});
  EXPECT_EQ(cancelled.exit_code, 0) << cancelled.text;
  EXPECT_SAYS(cancelled, "cancelled");
  EXPECT_EQ(here({"runs", "cancel", id}).exit_code, 2) << "it is over";
  const auto over = here(
      {"workflows", "save", folder_->write("over.yaml", "name: robot-navigation\nsteps:\n  ok: {uses: approval}\n")});
  EXPECT_EQ(over.exit_code, 2);
  EXPECT_SAYS(over, "give yours another `name:`");
  const std::string wrong = folder_->write("wrong.yaml", "name: wrong\nsteps:\n  ok: {uses: aproval}\n");
  const auto refused = here({"workflows", "save", wrong});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_SAYS(refused, wrong + ":3:14: unknown step kind 'aproval'");
  const auto asked = here({"workflows", "delete", "ask"});
  EXPECT_EQ(asked.exit_code, 2);
  EXPECT_SAYS(asked, "say --yes if that is meant");
  EXPECT_SAYS(here({"workflows", "delete", "aks"}), "there is no workflow 'aks'");
  EXPECT_SAYS(here({"workflows", "list"}), "사람에게 묻는다");
  EXPECT_EQ(here({"workflows", "delete", "ask", "--yes"}).exit_code, 0);
  EXPECT_EQ(here({"workflows", "list"}).text.find("사람에게 묻는다"), std::string::npos);
  EXPECT_EQ(here({"workflows", "delete", "ask", "--yes"}).exit_code, 2) << "there is none any more";
  EXPECT_EQ(here({"workflows", "delete", "robot-navigation", "--yes"}).exit_code, 2);
}

TEST_F(ClientEndToEnd, ARunThatWaitsForAPersonSaysSoInTheList) {
  const std::string file =
      folder_->write("sign.yaml", "name: sign\nsteps:\n  off: {uses: approval, with: {role: approver}}\n");
  const auto started = here({"run", file, "--detach"});
  ASSERT_EQ(started.exit_code, 0) << started.text;
  WorkerProcess worker(server_->data().root);
  worker.start();
  ASSERT_TRUE(wait_until([] {
    return here({"runs", "list"}).text.find("approval of off (approver)") != std::string::npos;
  })) << here({"runs", "list"}).text;
  EXPECT_SAYS(here({"runs", "show", started.text.substr(0, 36)}), "approval of off (approver)");
  EXPECT_EQ(here({"runs", "cancel", started.text.substr(0, 36)}).exit_code, 0);
}

TEST_F(ClientEndToEnd, ARunOfAFileUsesTheServerThatRuns) {
  const std::string file = folder_->write("here.yaml", "name: here\nsteps:\n  ok: {uses: approval}\n");
  const auto started = here({"run", file, "--detach"});
  EXPECT_EQ(started.exit_code, 0) << started.text;
  EXPECT_SAYS(here({"runs", "show", started.text.substr(0, 36)}), "here");
  EXPECT_EQ(here({"runs", "cancel", started.text.substr(0, 36)}).exit_code, 0);
}

TEST_F(ClientEndToEnd, WhatIsNotThereYetIsSaidWithTheNextStep) {
  EXPECT_SAYS(here({"models", "list"}), "No model");
  EXPECT_SAYS(here({"datasets", "list"}), "No dataset yet");
  EXPECT_SAYS(here({"agents", "list"}), "anneal-agent");
  for (const std::vector<std::string>& asked : {std::vector<std::string>{"models", "show", "nobody", "1"},
                                                {"runs", "show", "01a20c66"},
                                                {"workflows", "show", "nobody"},
                                                {"agents", "show", "nobody"}}) {
    const auto answer = here(asked);
    EXPECT_EQ(answer.exit_code, 2) << asked[0] << answer.text;
    EXPECT_SAYS(answer, asked[0] == "runs" ? "01a20c66" : "nobody");
  }
  const auto listed = here({"models", "list", "--json"});
  EXPECT_EQ(json::parse(listed.text), json::value({{"items", json::array()}}));
}

TEST_F(ClientEndToEnd, ATokenWorksUntilItIsRevoked) {
  EXPECT_EQ(here({"token", "create", "mes-7", "--role", "operater"}).exit_code, 2);
  const auto made = here({"token", "create", "mes-7", "--role", "operator", "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.text;
  const std::string token(json::parse(made.text).at("token").as_string());
  const auto as_mes = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server_->address()});
    return anneal(std::move(arguments), {{"ANNEAL_TOKEN", token}});
  };
  EXPECT_EQ(as_mes({"sources", "list"}).exit_code, 0);
  const auto refused = as_mes({"token", "list"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_SAYS(refused, "operator");
  const auto listed = here({"token", "list"});
  EXPECT_SAYS(listed, "mes-7");
  EXPECT_EQ(listed.text.find(token), std::string::npos);
  EXPECT_EQ(here({"token", "revoke", "mes-7"}).exit_code, 0);
  EXPECT_NE(as_mes({"sources", "list"}).exit_code, 0);
}

TEST(ClientAloneEndToEnd, ValidateNamesEveryMistakeAndPlanShowsTheSteps) {
  OwnFolder folder;
  const std::string broken =
      folder.write("broken.yaml",
                   "name: x\nsteps:\n  a: {uses: dataset.snapshot, wiht: {}}\n  b: {uses: model.gatee, needs: [c]}\n");
  const auto checked = anneal({"validate", broken});
  EXPECT_EQ(checked.exit_code, 2);
  for (const char* place : {":3:31: ", ":4:13: ", ":4:34: "}) EXPECT_SAYS(checked, broken + place);
  EXPECT_SAYS(checked, "did you mean 'with'?");
  EXPECT_SAYS(checked, "did you mean 'model.gate'?");
  EXPECT_SAYS(checked, " mistakes");
  EXPECT_EQ(anneal({"validate", "robot-navigation"}).exit_code, 0);
  EXPECT_EQ(anneal({"validate", "robot-navigation", broken, "--json"}).exit_code, 2);
  const auto plan = anneal({"plan", "robot-navigation", "--set", "source=robot-1"});
  EXPECT_EQ(plan.exit_code, 0) << plan.text;
  EXPECT_SAYS(plan, "\"robot-1\"");
  EXPECT_LT(plan.text.find("dataset.snapshot"), plan.text.find("finetune.lora"));
  EXPECT_EQ(anneal({"plan", "robot-navigation", "--set", "sorce=robot-1"}).exit_code, 2);
  EXPECT_EQ(anneal({"plan", broken}).exit_code, 2);
}

TEST(ClientAloneEndToEnd, AMistypedWordIsAnsweredWithTheNearestOne) {
  const auto expect = [](std::vector<std::string> arguments, const std::string& nearest) {
    const auto answer = anneal(arguments);
    EXPECT_EQ(answer.exit_code, 2) << answer.text;
    EXPECT_SAYS(answer, "did you mean '" + nearest + "'?");
  };
  expect({"souces", "list"}, "sources");
  expect({"sources", "lst"}, "list");
  expect({"sources", "list", "--sever", "x"}, "server");
  expect({"runs", "start", "x", "--folow"}, "follow");
  EXPECT_EQ(anneal({"runs", "start"}).exit_code, 2) << "a missing argument";
  EXPECT_EQ(anneal({"help"}).exit_code, 0);
  EXPECT_EQ(anneal({"runs", "retry", "--help"}).exit_code, 0);
}

TEST(ClientAloneEndToEnd, CompletionKnowsEveryCommandAndAsksTheOthersForTheirOptions) {
  const std::string help = anneal({"help"}).text;
  const auto offered = [](const std::string& words) {
    const std::string script = "export PATH=\"${0%/*}:$PATH\"; source <(anneal completion); COMP_WORDS=(anneal " +
                               words + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _anneal; echo \"${COMPREPLY[*]}\"";
    return platform::run_command({"/bin/bash", "-c", script, program("anneal")}).text;
  };
  const std::string all = offered("''");
  for (const char* name :
       {"serve", "worker", "train", "ingest", "validate", "plan", "run", "runs", "workflows", "token", "completion"}) {
    EXPECT_NE((" " + all).find(std::string(" ") + name + " "), std::string::npos) << name << " in " << all;
    EXPECT_NE(help.find(std::string("  ") + name + " "), std::string::npos) << name << " in " << help;
  }
  EXPECT_EQ(offered("serve --work"), "--worker-threads\n");
  EXPECT_EQ(offered("plan --"), "--set\n");
  EXPECT_EQ(offered("sources create line-3 --conn"), "--connector\n");
}

TEST(ClientAloneEndToEnd, WithoutAServerItSaysWhatToDo) {
  const auto nothing = anneal({"sources", "list"});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_SAYS(nothing, "start one with anneal serve");
  const auto silent = anneal({"sources", "list", "--server", "127.0.0.1:1"}, {{"ANNEAL_TOKEN", "anneal_x"}});
  EXPECT_EQ(silent.exit_code, 1);
  EXPECT_SAYS(silent, "no server answers at http://127.0.0.1:1");
  EXPECT_SAYS(silent, "--server URL");
  const auto far = anneal({"sources", "list", "--server", "http://192.0.2.1:1"});
  EXPECT_SAYS(far, "set ANNEAL_TOKEN");
}

TEST_F(ClientEndToEnd, TheAdminTokenDoesNotGoToAnAddressThatOnlyLooksLikeThisMachine) {
  for (const char* address :
       {"http://127.0.0.1:80@192.0.2.1", "127.0.0.1:80@192.0.2.1", "http://localhost:x@192.0.2.1/"}) {
    const auto refused = here({"sources", "list", "--server", address});
    EXPECT_EQ(refused.exit_code, 2) << refused.text;
    EXPECT_SAYS(refused, "holds a user");
  }
}

// Processes whose command line names this folder.
int processes_on(const std::string& folder) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    try {
      if (platform::read_file(entry.path() / "cmdline", 1 << 16).find(folder) != std::string::npos) ++count;
    } catch (const platform::Error&) {  // it has ended meanwhile
    }
  }
  return count;
}

TEST(ClientAloneEndToEnd, AWorkflowFileRunsWithoutAServerAndLeavesNoProcess) {
  OwnFolder folder;
  std::string rows = "torque,wear,grade\n";
  for (int i = 0; i < 60; ++i)
    rows += std::to_string(30 + i % 20) + "," + std::to_string(i * 3) + "," + (i % 3 == 0 ? "bad" : "good") + "\n";
  const std::string table = folder.write("parts.csv", rows);
  const std::string flow =
      folder.write("flow.yaml", "name: only-data\nsteps:\n  data: {uses: dataset.snapshot, with: {files: \"" + table +
                                    "\", target: grade}}\n");
  const std::string data = folder.path() / "data";
  const auto ran = anneal({"run", flow, "--data-folder", data, "--threads", "1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.text;
  EXPECT_SAYS(ran, "data  succeeded");
  EXPECT_EQ(processes_on(data), 0) << "its server is gone, with worker and database";
  const auto refused = anneal({"run", flow, "--data-folder", data, "--detach"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_SAYS(refused, "--detach needs a server");
  const auto failed = anneal({"run",
                              folder.write("bad.yaml",
                                           "name: no-file\nsteps:\n  data: {uses: dataset.snapshot, with: {files: "
                                           "\"/nonexistent.csv\", target: grade}}\n"),
                              "--data-folder", data, "--threads", "1"});
  EXPECT_EQ(failed.exit_code, 1) << failed.text;
  EXPECT_SAYS(failed, "/nonexistent.csv");
  EXPECT_EQ(processes_on(data), 0);
}

}  // namespace
}  // namespace tests
