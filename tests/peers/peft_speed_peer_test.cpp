// The peer of `anneal bench train`, as it is asked there, on a base that trains in a second: it must answer, plain and
// compiled, or say why not.
#include <gtest/gtest.h>

#include <cstdlib>

#include "finetune/bench/peer_speed.h"
#include "finetune/bench/random_base.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

TEST(PeftSpeedPeer, TrainsTheSameBaseAndTellsItsNumbers) {
  const char* python = std::getenv("ANNEAL_PEER_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "ANNEAL_PEER_PYTHON names no Python with torch, transformers and peft";
  const platform::TemporaryFolder folder;
  write_random_base(folder.path(), {"tiny", 64, 2, 4, 2, 96, 400}, 128);
  SpeedObserver observer;
  const auto peers = measure_peers({.python = python,
                                    .base_folder = folder.path(),
                                    .dtype = "fp32",
                                    .sequence = 32,
                                    .batch = 2,
                                    .rank = 4,
                                    .threads = 1,
                                    .steps = 3,
                                    .flop_per_token = 1e6},
                                   observer);
  ASSERT_EQ(peers.size(), 2u);
  for (const PeerSpeed& peer : peers) {
    ASSERT_EQ(peer.failed, "") << peer.name;
    std::printf("%s (%s): %.0f tokens/s, first step after %.1f s\n", peer.name.c_str(), peer.version.c_str(),
                peer.tokens_per_second, peer.first_step_seconds);
    EXPECT_EQ(peer.steps, 3);
    EXPECT_GT(peer.tokens_per_second, 0);
    EXPECT_GT(peer.gemm_gflops, 0);
    EXPECT_GT(peer.first_step_seconds, peer.start_seconds);
  }
  const auto refused = measure_peers({.python = python, .base_folder = folder.path(), .dtype = "nf4"}, observer);
  EXPECT_NE(refused.front().failed.find("nf4"), std::string::npos) << refused.front().failed;
}

}  // namespace
}  // namespace finetune
