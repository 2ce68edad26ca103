// `anneal serve` as a process: what it shows to whom, and how it ends.
#include <gtest/gtest.h>

#include <csignal>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/security/token.h"
#include "tests/support/plant.h"

namespace tests {
namespace {

namespace fs = std::filesystem;

class ServeEndToEnd : public testing::Test {
 protected:
  ServeEndToEnd() {
    fs::permissions(folder_.path(), fs::perms(0755));  // the database belongs to another user
  }
  static void SetUpTestSuite() {
    known_folder_ = std::make_unique<platform::TemporaryFolder>();
    known_ = std::make_unique<ServerProcess>(known_folder_->path() / "data");
  }
  static void TearDownTestSuite() {
    known_.reset();
    known_folder_.reset();
  }
  /// On one data folder for several tests: making a database takes its time. Not started.
  static ServerProcess& server() { return *known_; }
  fs::path at(const std::string& name) const { return folder_.path() / name; }
  std::string text(const std::string& name) const { return platform::read_file(at(name)); }
  /// `anneal serve` at a terminal, which writes what it shows to `log`.
  std::unique_ptr<platform::Process> at_a_terminal(const std::string& log) const {
    platform::ProcessOptions options;
    options.log_file = at(log);
    options.environment = {{"OMP_WAIT_POLICY", "passive"}};
    return std::make_unique<platform::Process>(
        std::vector<std::string>{"script", "--quiet", "--flush", "--command",
                                 program("anneal") + " serve --no-worker --port 0 --data-folder " + at("data").string(),
                                 "/dev/null"},
        options);
  }

  platform::TemporaryFolder folder_;

 private:
  inline static std::unique_ptr<platform::TemporaryFolder> known_folder_;
  inline static std::unique_ptr<ServerProcess> known_;
};

bool private_to_owner(const fs::path& path) {
  using fs::perms;
  return (fs::status(path).permissions() & (perms::group_all | perms::others_read | perms::others_write)) ==
         perms::none;
}

TEST_F(ServeEndToEnd, TheAdminTokenIsShownOnceAtATerminalAndIsInItsFileFromThenOn) {
  const auto shows = [&](const std::string& log, const std::string& words) {
    return wait_until([&] { return text(log).find(words) != std::string::npos; }, std::chrono::seconds(30));
  };
  auto first = at_a_terminal("first.log");
  ASSERT_TRUE(shows("first.log", "Admin token (shown once, kept in "));
  const std::string token = platform::read_file(platform::DataFolder{at("data")}.token(), 100);
  EXPECT_TRUE(shows("first.log", token.substr(0, token.find('\n')))) << text("first.log");
  first->stop();
  EXPECT_TRUE(wait_until([&] { return !fs::exists(at("data/postgres/cluster/postmaster.pid")); }));
  auto second = at_a_terminal("second.log");
  EXPECT_TRUE(shows("second.log", "The admin token is in " + at("data/admin-token").string()));
  EXPECT_EQ(text("second.log").find("anneal_"), std::string::npos) << text("second.log");
}

TEST_F(ServeEndToEnd, NoOtherUserReadsTheTokenTheLogsOrTheData) {
  server().start();
  const fs::path data = server().data().root;
  ASSERT_TRUE(wait_until([&] { return fs::exists(data / "logs/worker.log"); }));
  const std::string log = platform::read_file(data.string() + "-server.log");
  EXPECT_EQ(log.find(server().token()), std::string::npos) << "a log is read by more people than the one who starts it";
  EXPECT_NE(log.find("The admin token is in " + server().data().token().string()), std::string::npos) << log;
  for (const char* own : {"", "admin-token", "keys", "blobs", "logs", "logs/worker.log", "work", "postgres"})
    EXPECT_TRUE(private_to_owner(data / own)) << own;
  EXPECT_EQ(server().stop(), 0);
}

TEST_F(ServeEndToEnd, AnAdminTokenThatIsRevokedIsNotNamedAsOneThatWorks) {
  ServerProcess one(at("data"), {"--no-worker"});
  one.start();
  one.client().post("/api/v1/tokens", {{"name", "kim"}, {"role", "admin"}});
  EXPECT_EQ(one.client().send(platform::Method::kDelete, "/api/v1/tokens/admin").status, 204);
  one.stop();
  const auto second = at_a_terminal("second.log");
  const std::string file = at("data/admin-token").string();
  EXPECT_TRUE(
      wait_until([&] { return text("second.log").find("The token in " + file + " is revoked") != std::string::npos; },
                 std::chrono::seconds(30)))
      << text("second.log");
  EXPECT_EQ(text("second.log").find("The admin token is in"), std::string::npos) << text("second.log");
}

TEST_F(ServeEndToEnd, AFirstStartOnATakenPortLeavesTheTokenInItsFile) {
  const PlantProcess other(folder_.path(), 0);
  const std::string port = other.address().substr(other.address().rfind(':') + 1);
  const auto refused = platform::run_command(
      {program("anneal"), "serve", "--no-worker", "--port", port, "--data-folder", at("data").string()});
  EXPECT_EQ(refused.exit_code, 1) << refused.text;
  ServerProcess second(at("data"), {"--no-worker"});
  second.start();
  EXPECT_TRUE(second.client().get("/api/v1/tokens").contains("items")) << "the token in the file is the admin's";
}

TEST_F(ServeEndToEnd, ASignalStopsItInOrderWhicheverThreadItWouldHaveReached) {
  for (int round = 0; round < 3; ++round) {
    server().start();
    EXPECT_EQ(server().stop(), 0);
    EXPECT_FALSE(fs::exists(server().data().address()));
    EXPECT_FALSE(server().postmaster());
  }
}

TEST_F(ServeEndToEnd, ASecondCtrlCDoesNotWaitForWhatHangs) {
  server().start();
  const int database = server().postmaster().value();
  ::kill(database, SIGSTOP);
  ::kill(server().pid(), SIGINT);
  EXPECT_TRUE(wait_until([&] { return !fs::exists(server().data().address()); }));
  EXPECT_FALSE(wait_until([&] { return !server().alive(); }, std::chrono::milliseconds(500))) << "the database hangs";
  ::kill(server().pid(), SIGINT);
  EXPECT_TRUE(wait_until([&] { return !server().alive(); }, std::chrono::seconds(5)));
  EXPECT_EQ(server().stop(), 0);
  ::kill(database, SIGCONT);
  EXPECT_TRUE(wait_until([&] { return !server().postmaster(); })) << "it notices that its parent is gone";
  server().start();
}

TEST_F(ServeEndToEnd, ASecondServerOnADataFolderIsRefusedWithTheAddressOfTheOneThatRuns) {
  server().start();
  const auto second = platform::run_command(
      {program("anneal"), "serve", "--no-worker", "--port", "0", "--data-folder", server().data().root.string()});
  EXPECT_EQ(second.exit_code, 2) << second.text;
  EXPECT_NE(second.text.find("already: " + server().address() + ";"), std::string::npos) << second.text;
  EXPECT_TRUE(fs::exists(server().data().address())) << "the first one is still found";
  server().kill();
  server().start();
  EXPECT_EQ(server().stop(), 0) << "what was killed holds nothing";
}

TEST_F(ServeEndToEnd, AServerForOneTokenRefusesAllOthersAndStartsNoStoredSource) {
  ServerProcess normal(at("data"), {"--no-worker"});
  normal.start();
  const PlantProcess plant(folder_.path(), 3);
  normal.client().post("/api/v1/sources", {{"name", "mill"},
                                           {"connector", "rest_poll"},
                                           {"settings",
                                            {{"url", plant.address()},
                                             {"target", "/records"},
                                             {"items", "items"},
                                             {"cursor", {{"param", "after"}, {"next", "next"}}}}}});
  normal.client().post("/api/v1/sources/mill/start");
  const json::object made = normal.client().post("/api/v1/tokens", {{"name", "lee"}, {"role", "engineer"}});
  const std::string engineer(made.at("token").as_string());
  normal.stop();
  const std::string own = platform::make_token();
  platform::write_file_atomically(at("own-token"), own, 0600);
  ServerProcess closed(at("data"), {"--no-worker", "--files-from", "/", "--only-token", at("own-token")});
  closed.start();
  const json::value theft{{"name", "theft"}, {"connector", "file"}, {"settings", {{"path", "/etc/shadow"}}}};
  for (const std::string& token : {engineer, normal.token(), std::string()}) {
    const auto refused =
        RestClient(closed.address(), token).send(platform::Method::kPost, "/api/v1/sources", json::serialize(theft));
    EXPECT_EQ(refused.status, 401) << refused.body;
    EXPECT_NE(refused.body.find("belongs to one `anneal run`"), std::string::npos) << refused.body;
  }
  RestClient owner(closed.address(), own);
  EXPECT_FALSE(owner.get("/api/v1/sources/mill").contains("reader")) << "no reader runs";
  owner.post("/api/v1/sources", theft);
  closed.stop();
  normal.start();
  EXPECT_EQ(normal.client().send(platform::Method::kPost, "/api/v1/sources/theft/start").status, 403)
      << "what was made there may read no more than others";
}

TEST_F(ServeEndToEnd, ARunThatAServerOfMorePowerLeftBehindReadsNoMoreThanTheOneThatGoesOn) {
  const std::string own = platform::make_token();
  platform::write_file_atomically(at("own-token"), own, 0600);
  platform::write_file_atomically(at("outside.csv"), "torque,state\n1,hot\n2,cold\n");
  ServerProcess closed(at("data"), {"--no-worker", "--files-from", "/", "--only-token", at("own-token")});
  closed.start();
  const std::string flow =
      "name: left\nsteps:\n  data: {uses: dataset.snapshot, with: {files: " + at("outside.csv").string() +
      ", target: state}}\n";
  const json::object run = RestClient(closed.address(), own).post("/api/v1/runs", {{"text", flow}});
  closed.kill();
  ServerProcess normal(at("data"));
  normal.start();
  const std::string path = "/api/v1/runs/" + std::string(run.at("id").as_string());
  ASSERT_TRUE(wait_until([&] { return normal.client().get(path).at("state") != "running"; }));
  const json::object ended = normal.client().get(path);
  EXPECT_EQ(ended.at("state"), "failed");
  EXPECT_NE(json::serialize(ended).find("outside.csv: it lies outside the folders"), std::string::npos)
      << json::serialize(ended);
}

TEST_F(ServeEndToEnd, ADataFolderMayHaveAnyName) {
  ServerProcess odd(at("a b'c\\d"));
  odd.start();
  EXPECT_TRUE(odd.client().get("/api/v1/tokens").contains("items"));
  EXPECT_EQ(odd.stop(), 0);
}

TEST_F(ServeEndToEnd, AFolderForFilesHasToBeThereAndIsNotTheServersOwn) {
  const auto serve = [&](const std::string& folder) {
    return platform::run_command({program("anneal"), "serve", "--no-worker", "--port", "0", "--data-folder",
                                  at("data").string(), "--files-from", folder});
  };
  const auto absent = serve(at("absent"));
  EXPECT_EQ(absent.exit_code, 2) << absent.text;
  fs::create_directories(at("data/keys"));
  const auto own = serve(at("data/keys"));
  EXPECT_EQ(own.exit_code, 2) << own.text;
  EXPECT_NE(own.text.find("the server's own folder"), std::string::npos) << own.text;
}

}  // namespace
}  // namespace tests
