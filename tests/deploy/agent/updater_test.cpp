#include "deploy/agent/updater.h"

#include "tests/deploy/support/update_machine.h"

namespace {

using namespace std::chrono_literals;
using deploy::AgentState;
using platform::ErrorCode;
using tests::Machine;
using tests::World;

std::string told(const World& world) {
  std::string words;
  for (const auto& report : world.reports)
    words += report.execution == "closed" ? report.finished + (report.code.empty() ? "" : ":" + report.code)
                                          : report.state + " ";
  return words;
}

TEST(Updater, WalksAFirstVersionToItsCommit) {
  Machine machine;
  const auto program = machine.start();
  EXPECT_EQ(machine.world.answering(), 0);
  ASSERT_TRUE(program->updater.offer(machine.offer(1)));
  machine.finish(*program);
  EXPECT_EQ(program->current(), 1);
  EXPECT_EQ(machine.world.answering(), 1);
  EXPECT_EQ(told(machine.world), "downloading verifying staging activating probation committed success");
  EXPECT_EQ(platform::read_file(program->releases.current()->adapter() / "anneal.json"), "adapter 1");
}

TEST(Updater, FetchesTheBaseOnceAndKeepsOneVersionBefore) {
  Machine machine;
  machine.install(1);
  machine.install(2);
  const auto program = machine.start();
  ASSERT_TRUE(program->updater.offer(machine.offer(3)));
  machine.finish(*program);
  EXPECT_EQ(machine.world.downloads, 1);
  EXPECT_EQ(program->releases.versions(), (std::set<std::int64_t>{2, 3}));
}

TEST(Updater, WaitsInADownloadForWhatMayPass) {
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kInternal, ErrorCode::kUnauthenticated,
                               ErrorCode::kForbidden, ErrorCode::kDiskFull}) {
    Machine machine;
    machine.install(1);
    const auto program = machine.start();
    ASSERT_TRUE(program->updater.offer(machine.offer(2)));
    machine.world.no_download = code;
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(program->updater.step());
    EXPECT_EQ(program->updater.state(), AgentState::kDownloading) << to_string(code);
    EXPECT_EQ(machine.world.answering(), 1);
    EXPECT_EQ(machine.world.reports.size(), 2u);  // that it downloads, and once what it waits for
    EXPECT_NE(machine.world.reports.back().detail.find("no download"), std::string::npos);
    machine.world.no_download.reset();
    machine.finish(*program);
    EXPECT_EQ(program->current(), 2);
  }
}

TEST(Updater, GivesADownloadUpThatTheServerDoesNotHave) {
  Machine machine;
  const auto program = machine.start();
  ASSERT_TRUE(program->updater.offer(machine.offer(1)));
  machine.world.no_download = ErrorCode::kNotFound;
  machine.finish(*program);
  EXPECT_EQ(machine.world.reports.back().code, "failed");
}

TEST(Updater, BeginsADownloadAnewWhenTheBytesOfAnEarlierTryAreWrong) {
  for (const std::string earlier : {"adap", "evil", "evil bytes, and more of them than there should be"}) {
    Machine machine;
    machine.install(1);
    const auto program = machine.start();
    const auto offer = machine.offer(2);
    platform::write_file_atomically(program->releases.blobs().partial(platform::digest_of("adapter 2")), earlier);
    ASSERT_TRUE(program->updater.offer(offer));
    machine.finish(*program);
    EXPECT_EQ(program->current(), 2) << earlier;
    EXPECT_EQ(machine.world.downloads, earlier == "evil" ? 2 : 1) << earlier;
  }
}

TEST(Updater, GoesOnWhileTheQueueForTheServerIsFull) {
  Machine machine;
  machine.install(1);
  const auto program = machine.start();
  machine.world.queue_full = true;
  ASSERT_TRUE(program->updater.offer(machine.offer(2)));
  for (int i = 0; i < 20; ++i)
    if (!program->updater.step()) machine.clock.time += 4s;
  EXPECT_EQ(program->updater.state(), AgentState::kCommitted);  // what counts is told before it goes on
  EXPECT_EQ(machine.world.answering(), 2);
  machine.world.queue_full = false;
  machine.finish(*program);
  EXPECT_EQ(told(machine.world), "success");
}

TEST(Updater, StandsStillWhileTheDiskTakesNothing) {
  Machine machine;
  machine.install(1);
  const auto program = machine.start();
  ASSERT_TRUE(program->updater.offer(machine.offer(2)));
  const auto file = program->releases.state_file();
  const std::string saved = platform::read_file(file);
  std::filesystem::remove(file);
  std::filesystem::create_directories(file / "in the way");
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(program->updater.step());
  EXPECT_EQ(machine.world.answering(), 1);
  std::filesystem::remove_all(file);
  machine.finish(*program);
  EXPECT_EQ(program->current(), 2);
}

TEST(Updater, WritesNothingAtAStartThatFindsNothingToDo) {
  Machine machine;
  const auto program = machine.start();
  EXPECT_FALSE(std::filesystem::exists(program->releases.state_file()));
}

TEST(Updater, CarriesOnWithACourierBundleWhateverTheServerOffers) {
  Machine machine;
  machine.install(1);
  auto program = machine.start();
  auto offer = machine.offer(2);
  offer.courier = true;
  ASSERT_TRUE(program->updater.offer(offer));
  machine.world.wanted = false;
  EXPECT_TRUE(program->updater.step());
  program = machine.start();  // the origin is remembered
  machine.finish(*program);
  EXPECT_EQ(program->current(), 2);
}

TEST(Updater, EndsWithoutAModelWhereThePreviousOneNoLongerLoads) {
  Machine machine;
  machine.install(1);
  machine.world.check_fails = true;
  machine.world.unloadable = 1;
  const auto program = machine.start();
  ASSERT_TRUE(program->updater.offer(machine.offer(2)));
  machine.finish(*program);
  EXPECT_EQ(machine.world.answering(), 0);
  EXPECT_NE(machine.world.reports.back().detail.find("weights are damaged"), std::string::npos);
  machine.world.check_fails = false;
  ASSERT_TRUE(program->updater.offer(machine.offer(3)));
  machine.finish(*program);
  EXPECT_EQ(machine.world.answering(), 3);
}

TEST(Updater, TakesACurrentVersionThatCannotBeReadForNone) {
  for (const bool good : {true, false}) {
    Machine machine;
    machine.install(1);
    platform::write_file_atomically(machine.folder.path() / "agent" / "releases" / "1" / "targets.json", "{");
    machine.world.probe_fails = !good;
    const auto program = machine.start();
    EXPECT_EQ(machine.world.answering(), 0);
    ASSERT_TRUE(program->updater.offer(machine.offer(2)));
    machine.finish(*program);
    EXPECT_EQ(machine.world.answering(), good ? 2 : 0);
    EXPECT_EQ(program->releases.versions(), good ? std::set<std::int64_t>{2} : std::set<std::int64_t>{});
  }
}

TEST(Updater, RefusesAnOlderVersionAndKeepsAnswering) {
  Machine machine;
  const deploy::Offer older = machine.offer(1);
  machine.install(2);
  const auto program = machine.start();
  EXPECT_FALSE(program->updater.offer(older));
  EXPECT_FALSE(program->updater.offer(machine.offer(1)));
  EXPECT_EQ(told(machine.world), "failure:refusedfailure:older");
  EXPECT_EQ(machine.world.answering(), 2);
}

TEST(Updater, RefusesBlobsThatAreNotWhatTheTargetsSay) {
  Machine machine;
  machine.install(1);
  const auto program = machine.start();
  const auto offer = machine.offer(2);
  machine.world.blobs[platform::digest_of("adapter 2")] = "adapter 6";
  ASSERT_TRUE(program->updater.offer(offer));
  machine.finish(*program);
  EXPECT_EQ(told(machine.world), "downloading rolling_back failure:refused");
  EXPECT_EQ(machine.world.answering(), 1);
  EXPECT_EQ(program->current(), 1);
}

TEST(Updater, RefusesABundleForAnotherLine) {
  Machine machine;
  auto program = machine.start();
  deploy::Targets targets;
  targets.version = 1;
  targets.deployment = "d-1";
  targets.selector = "line=4";
  const std::string text = deploy::sign_targets(machine.keys, targets);
  deploy::Offer offer{"d-1", deploy::sign_timestamp(machine.keys, text, 1, 1, machine.clock.now(), 60s), text};
  EXPECT_FALSE(program->updater.offer(offer));
  offer.courier = true;
  EXPECT_THROW(program->updater.offer(offer), platform::Error);
  EXPECT_EQ(told(machine.world), "failure:refused");
}

TEST(Updater, GoesBackWhenTheProbeFailsOrProbationDoes) {
  for (const bool at_probe : {true, false}) {
    Machine machine;
    machine.install(1);
    machine.world.probe_fails = at_probe;
    machine.world.check_fails = !at_probe;
    const auto program = machine.start();
    ASSERT_TRUE(program->updater.offer(machine.offer(2)));
    machine.finish(*program);
    EXPECT_EQ(program->current(), 1);
    EXPECT_EQ(machine.world.answering(), 1);
    EXPECT_EQ(machine.world.reports.back().finished, "failure");
    EXPECT_EQ(program->releases.versions(), std::set<std::int64_t>{1});
  }
}

TEST(Updater, GoesBackWhenTheServerWithdraws) {
  Machine machine;
  machine.install(1);
  const auto program = machine.start();
  ASSERT_TRUE(program->updater.offer(machine.offer(2)));
  while (program->updater.state() != AgentState::kProbation) ASSERT_TRUE(program->updater.step());
  machine.world.wanted = false;
  machine.finish(*program);
  EXPECT_EQ(program->current(), 1);
  EXPECT_EQ(machine.world.reports.back().code, "withdrawn");
}

TEST(Updater, InstallsItsVersionAnewWhereTheFilesAreDamaged) {
  for (const bool damaged : {true, false}) {
    Machine machine;
    machine.install(1);
    machine.world.unloadable = 1;
    const auto program = machine.start();
    ASSERT_EQ(machine.world.answering(), 0);
    const auto weights = program->releases.blobs().path(platform::digest_of("adapter 1"));
    if (damaged) platform::write_file_atomically(weights, "adapter ?");
    EXPECT_EQ(program->updater.offer(machine.offer(1)), damaged);
    if (!damaged) {
      EXPECT_EQ(told(machine.world), "failure:failed");
      EXPECT_NE(machine.world.reports.back().detail.find("weights are damaged"), std::string::npos);
      continue;
    }
    machine.world.unloadable = 0;
    machine.finish(*program);
    EXPECT_EQ(program->current(), 1);
    EXPECT_EQ(machine.world.answering(), 1);
    EXPECT_EQ(platform::read_file(program->releases.current()->adapter() / "anneal.json"), "adapter 1");
  }
}

TEST(Updater, ConfirmsTheVersionThatItAlreadyRuns) {
  Machine machine;
  machine.install(1);
  const auto program = machine.start();
  EXPECT_FALSE(program->updater.offer(machine.offer(1)));
  EXPECT_EQ(told(machine.world), "success");
}

}  // namespace
