#include "finetune/bench/peer_speed.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

constexpr const char* kAnswer =
    R"({"version":"torch 2","tokens_per_second":4000.0,"slowest":3900,"fastest":4100.5,"steps":5,"gemm_gflops":300,)"
    R"("peak_bytes":2000000000,"start_seconds":8.5,"first_step_seconds":20})";

TEST(PeerSpeed, IsReadFromTheLastAnswerAmongWhatAPeerPrints) {
  const std::string output = std::string("{'a': warning}\nstep 1: 2 s\n") + kAnswer + "\nsome library says goodbye\n";
  const PeerSpeed speed = peer_speed_from(output, 30e6);
  EXPECT_EQ(speed.version, "torch 2");
  EXPECT_EQ(speed.tokens_per_second, 4000);
  EXPECT_EQ(speed.steps, 5);
  EXPECT_EQ(speed.peak_bytes, 2'000'000'000);
  EXPECT_EQ(speed.first_step_seconds, 20);
  EXPECT_DOUBLE_EQ(speed.fraction_of_gemm, 4000 * 30e6 / 300e9);
}

TEST(PeerSpeed, AnAnswerThatLacksSomethingIsNone) {
  EXPECT_THROW(peer_speed_from("step 1\n", 1), platform::Error);
  try {
    peer_speed_from(R"({"version":"torch 2"})", 1);
    FAIL() << "an answer without numbers was taken";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("tokens_per_second"), std::string::npos) << error.what();
  }
}

TEST(PeerSpeed, AFailureHasTheLastWordsOfThePeer) {
  EXPECT_EQ(reason_of_failure(1, "Traceback\n  line\nModuleNotFoundError: No module named 'torch'\n\n"),
            "ended with code 1: ModuleNotFoundError: No module named 'torch'");
  EXPECT_EQ(reason_of_failure(3, ""), "ended with code 3");
  EXPECT_EQ(reason_of_failure(137, "step 1"), "was killed, perhaps for want of memory");
}

// Programs that stand for a Python: what is measured is how they are run.
class PeerPrograms : public testing::Test {
 protected:
  std::string program(const std::string& lines) {
    const auto file = folder_.path() / "python";
    platform::write_file_atomically(file, "#!/bin/sh\n" + lines + "\n", 0755);
    return file.string();
  }
  platform::TemporaryFolder folder_;
  SpeedObserver observer_;
};

TEST_F(PeerPrograms, RunPlainAndThenCompiledWithAnAllocatorThatKeepsItsMemory) {
  const std::string python = program(
      "for last; do :; done\n[ -n \"$MALLOC_TOP_PAD_\" ] || exit 9\n"
      "echo \"$last\" >> " +
      (folder_.path() / "asked").string() + "\necho '" + kAnswer + "'");
  const auto peers = measure_peers({.python = python, .base_folder = "base", .dtype = "bf16", .steps = 7}, observer_);
  ASSERT_EQ(peers.size(), 2u);
  EXPECT_EQ(peers[0].name, "pytorch");
  EXPECT_EQ(peers[1].name, "pytorch-compile");
  for (const PeerSpeed& peer : peers) EXPECT_EQ(peer.failed, "");
  EXPECT_EQ(platform::read_file(folder_.path() / "asked"), "7\n--compile\n");
}

TEST_F(PeerPrograms, ThatFailSayWhyAndTheOthersStillRun) {
  const std::string python = program("for last; do :; done\nif [ \"$last\" = --compile ]; then echo '" +
                                     std::string(kAnswer) + "'; else echo no torch here >&2; exit 4; fi");
  const auto peers = measure_peers({.python = python, .dtype = "fp32"}, observer_);
  EXPECT_EQ(peers[0].failed, "ended with code 4: no torch here");
  EXPECT_EQ(peers[1].failed, "");
  const auto none = measure_peers({.python = "/no/such/python", .dtype = "fp32"}, observer_);
  EXPECT_NE(none[0].failed.find("/no/such/python"), std::string::npos) << none[0].failed;
}

TEST_F(PeerPrograms, EndWhenTheMeasurementIsStopped) {
  // Asked to stop once the peer stands.
  struct Stopping : SpeedObserver {
    explicit Stopping(std::filesystem::path awaited) : file(std::move(awaited)) {}
    bool should_stop() override { return std::filesystem::exists(file); }
    std::filesystem::path file;
  } stopping(folder_.path() / "pid");
  const std::string file = stopping.file.string();
  const std::string python = program("echo $$ > " + file + ".new\nmv " + file + ".new " + file + "\nexec sleep 600");
  EXPECT_THROW(measure_peers({.python = python, .dtype = "fp32"}, stopping), platform::Error);
  const std::string pid = platform::read_file(file);
  EXPECT_FALSE(std::filesystem::exists("/proc/" + pid.substr(0, pid.find('\n')))) << "the peer still runs";
}

TEST(PeerSpeed, TheScriptIsInTheSourceTree) { EXPECT_TRUE(std::filesystem::exists(peer_script())); }

}  // namespace
}  // namespace finetune
