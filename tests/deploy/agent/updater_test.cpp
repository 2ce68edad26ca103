#include "deploy/agent/updater.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/digest.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace {

using namespace std::chrono_literals;
using deploy::AgentState;
using deploy::Release;
using platform::Error;
using platform::ErrorCode;

class HandClock final : public platform::Clock {
 public:
  platform::Time now() const override { return time; }
  platform::Time time = platform::parse_time("2026-03-01T08:00:00Z");
};

// The server and the running model, both in memory; what a real machine keeps on disk is on disk.
struct World final : deploy::UpdatePeer, deploy::ModelSlot {
  std::map<std::string, std::string> blobs;
  std::vector<deploy::UpdateReport> reports;
  std::int64_t downloads = 0;
  bool server_up = true, wanted = true, probe_fails = false, check_fails = false;
  std::optional<Release> prepared, running;

  void download(const std::string& digest, std::uint64_t, const std::filesystem::path& partial) override {
    if (!server_up) throw Error(ErrorCode::kUnavailable, "server away");
    ++downloads;
    platform::write_file_atomically(partial, blobs.at(digest));
  }
  void report(const deploy::UpdateReport& told) override { reports.push_back(told); }
  bool still_wanted(const std::string&) override { return wanted; }
  void prepare(const Release& release) override {
    if (probe_fails) throw Error(ErrorCode::kConflict, "probe does not reproduce");
    prepared = release;
  }
  void activate() override { running = prepared; }
  void check() override {
    if (check_fails) throw Error(ErrorCode::kInternal, "does not answer");
  }
  void restore(const std::optional<Release>& release) override { running = release; }
  std::int64_t answering() const { return running ? running->targets.version : 0; }
};

struct Machine {
  platform::TemporaryFolder folder;
  deploy::SigningKeys keys = deploy::SigningKeys::open(folder.path() / "keys");
  HandClock clock;
  World world;
  std::int64_t timestamps = 0;

  Machine() { deploy::MetadataStore(folder.path() / "agent" / "trust").pin(keys.root()); }

  deploy::Offer offer(std::int64_t version) {
    deploy::Targets targets;
    targets.version = version;
    targets.deployment = "d-" + std::to_string(version);
    targets.selector = "line=3";
    targets.soak_seconds = 10;
    add(targets, "adapter/anneal.json", "adapter " + std::to_string(version));
    add(targets, "base/config.json", "the base");
    const std::string signed_targets = deploy::sign_targets(keys, targets);
    return {targets.deployment, deploy::sign_timestamp(keys, signed_targets, version, ++timestamps, clock.now(), 60s),
            signed_targets};
  }
  void add(deploy::Targets& targets, const std::string& path, const std::string& bytes) {
    const std::string digest = platform::digest_of(bytes);
    world.blobs[digest] = bytes;
    targets.files[path] = {digest, bytes.size()};
  }

  struct Program {
    deploy::ReleaseFolder releases;
    deploy::Updater updater;
    Program(Machine& machine, std::function<void(AgentState, std::string_view)> on_state)
        : releases(machine.folder.path() / "agent"),
          updater(releases, machine.world, machine.world, machine.clock,
                  {.log = platform::Log::silent(),
                   .name = "edge-01",
                   .labels = {{"line", "3"}},
                   .on_state = std::move(on_state)}) {
      updater.resume();
    }
    std::int64_t current() const { return releases.current() ? releases.current()->targets.version : 0; }
  };
  std::unique_ptr<Program> start(std::function<void(AgentState, std::string_view)> on_state = {}) {
    return std::make_unique<Program>(*this, std::move(on_state));
  }

  void finish(Program& program) {
    for (int i = 0; i < 20 && program.updater.state() != AgentState::kIdle; ++i)
      if (!program.updater.step()) clock.time += 4s;
    EXPECT_EQ(program.updater.state(), AgentState::kIdle);
  }
  // A version that is committed before the story begins.
  void install(std::int64_t version) {
    const auto program = start();
    ASSERT_TRUE(program->updater.offer(offer(version)));
    finish(*program);
    ASSERT_EQ(program->current(), version);
    world.reports.clear();
    world.downloads = 0;
  }
};

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

TEST(Updater, WaitsInADownloadWhileTheServerIsAway) {
  Machine machine;
  machine.install(1);
  const auto program = machine.start();
  ASSERT_TRUE(program->updater.offer(machine.offer(2)));
  machine.world.server_up = false;
  EXPECT_FALSE(program->updater.step());
  EXPECT_EQ(program->updater.state(), AgentState::kDownloading);
  EXPECT_EQ(machine.world.answering(), 1);
  machine.world.server_up = true;
  machine.finish(*program);
  EXPECT_EQ(program->current(), 2);
}

TEST(Updater, RefusesAnOlderVersionAndKeepsAnswering) {
  Machine machine;
  const deploy::Offer older = machine.offer(1);
  machine.install(2);
  const auto program = machine.start();
  EXPECT_FALSE(program->updater.offer(older));
  EXPECT_FALSE(program->updater.offer(machine.offer(1)));
  EXPECT_EQ(told(machine.world), "failure:refusedfailure:refused");
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
  EXPECT_FALSE(program->updater.offer(
      {"d-1", deploy::sign_timestamp(machine.keys, text, 1, 1, machine.clock.now(), 60s), text}));
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

TEST(Updater, ConfirmsTheVersionThatItAlreadyRuns) {
  Machine machine;
  machine.install(1);
  const auto program = machine.start();
  EXPECT_FALSE(program->updater.offer(machine.offer(1)));
  EXPECT_EQ(told(machine.world), "success");
}

// Cuts the power at each state, right after it was saved and right after its work, in a child process that ends without
// unwinding; the parent then starts the program on what is left on disk.
void cut_power_everywhere(std::int64_t previous) {
  for (const AgentState state :
       {AgentState::kDownloading, AgentState::kVerifying, AgentState::kStaging, AgentState::kActivating,
        AgentState::kProbation, AgentState::kCommitted, AgentState::kIdle}) {
    for (const std::string phase : {"saved", "done"}) {
      if (state == AgentState::kIdle && phase == "done") continue;
      Machine machine;
      if (previous != 0) machine.install(previous);
      const auto offer = machine.offer(previous + 1);
      const pid_t child = ::fork();
      if (child == 0) {
        const auto program = machine.start([&, updating = false](AgentState at, std::string_view when) mutable {
          updating = updating || at != AgentState::kIdle;
          if (updating && at == state && when == phase) ::_exit(42);
        });
        program->updater.offer(offer);
        machine.finish(*program);
        ::_exit(0);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      const std::string where = std::string(to_string(state)) + " " + phase;
      ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 42) << where;

      const auto program = machine.start();
      EXPECT_TRUE(previous == 0 || program->current() == previous || program->current() == previous + 1) << where;
      machine.finish(*program);
      const bool touched = previous != 0 && (state == AgentState::kActivating || state == AgentState::kProbation);
      const std::int64_t expected = touched ? previous : previous + 1;
      EXPECT_EQ(program->current(), expected) << where;
      EXPECT_EQ(machine.world.answering(), expected) << where;
      if (touched) {
        EXPECT_EQ(machine.world.reports.back().code, "interrupted") << where;
      }

      if (!touched) continue;  // offered once more, it goes through
      ASSERT_TRUE(program->updater.offer(machine.offer(previous + 1))) << where;
      machine.finish(*program);
      EXPECT_EQ(program->current(), previous + 1) << where;
    }
  }
}

TEST(UpdaterPowerCut, EndsInThePreviousOrTheNewVersionFromEveryState) { cut_power_everywhere(4); }
TEST(UpdaterPowerCut, EndsInTheFirstVersionWhereThereWasNone) { cut_power_everywhere(0); }

TEST(UpdaterPowerCut, EndsInThePreviousVersionWhileRollingBack) {
  for (const std::string phase : {"saved", "done"}) {
    Machine machine;
    machine.install(4);
    const auto offer = machine.offer(5);
    const pid_t child = ::fork();
    if (child == 0) {
      machine.world.check_fails = true;
      const auto program = machine.start([&](AgentState at, std::string_view when) {
        if (at == AgentState::kRollingBack && when == phase) ::_exit(42);
      });
      program->updater.offer(offer);
      machine.finish(*program);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(WEXITSTATUS(status), 42);
    const auto program = machine.start();
    machine.finish(*program);
    EXPECT_EQ(program->current(), 4);
    EXPECT_EQ(machine.world.answering(), 4);
  }
}

}  // namespace
