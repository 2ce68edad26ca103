// A plant machine for the updater: its disk is real, the server and the running model are in memory, and a test says
// what fails in them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "deploy/agent/updater.h"
#include "platform/base/digest.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace tests {

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
  bool wanted = true, probe_fails = false, check_fails = false, queue_full = false;
  std::optional<ErrorCode> no_download;
  std::int64_t unloadable = 0;  // version
  std::optional<Release> prepared, running;

  void download(const std::string& digest, std::uint64_t, const std::filesystem::path& partial) override {
    if (no_download) throw Error(*no_download, "no download");
    ++downloads;
    const std::string& whole = blobs.at(digest);
    const std::string here = std::filesystem::exists(partial) ? platform::read_file(partial) : std::string();
    platform::write_file_atomically(partial, here + whole.substr(std::min(whole.size(), here.size())));
  }
  void report(const deploy::UpdateReport& told) override {
    if (queue_full) throw Error(ErrorCode::kDiskFull, "queue is full");
    reports.push_back(told);
  }
  bool still_wanted(const std::string&) override { return wanted; }
  void prepare(const Release& release) override {
    if (probe_fails) throw Error(ErrorCode::kConflict, "probe does not reproduce");
    prepared = release;
  }
  void activate() override { running = prepared; }
  void check() override {
    if (check_fails) throw Error(ErrorCode::kInternal, "does not answer");
  }
  void restore(const std::optional<Release>& release) override {
    if (release && release->targets.version == unloadable) throw Error(ErrorCode::kCorrupt, "weights are damaged");
    running = release;
  }
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

}  // namespace tests
