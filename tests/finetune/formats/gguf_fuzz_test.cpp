// Random damage to a sound file: never a crash, never memory of the claimed size, only a platform::Error or a sound
// read.
#include <gtest/gtest.h>
#include <fstream>
#include <iostream>
#include <random>

#include "finetune/formats/gguf.h"
#include "platform/base/error.h"
#include "tests/support/peak_memory.h"

namespace finetune {
namespace {

std::string damaged(std::string bytes, std::mt19937_64& random) {
  for (std::uint64_t times = 1 + random() % 4; times > 0 && !bytes.empty(); --times) {
    const std::size_t at = random() % (random() % 4 ? std::min<std::size_t>(bytes.size(), 400) : bytes.size());
    switch (random() % 6) {
      case 0: bytes[at] = static_cast<char>(random() & 0xFF); break;
      case 1: bytes[at] = static_cast<char>(random() % 14); break;  // a type
      case 2: bytes[at] = '\xff'; break;
      case 3: bytes.erase(at, 1 + random() % 8); break;
      case 4: bytes.insert(at, 1 + random() % 8, static_cast<char>(random() & 0xFF)); break;
      default: bytes.resize(random() % (bytes.size() + 1)); break;
    }
  }
  return bytes;
}

TEST(GgufFuzz, SurvivesRandomDamageWithoutAllocatingClaimedSizes) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed: " << seed << "\n";
  std::mt19937_64 random(seed);
  const kernels::Tensor weight = kernels::Tensor::zeros({4, 256}), norm = kernels::Tensor::zeros({7});
  const std::string sound = gguf_bytes({{"general.architecture", std::string("llama")},
                                        {"general.alignment", std::uint32_t{32}},
                                        {"tokens", GgufArray(std::vector<std::string>{"a", "bc", "가"})},
                                        {"pattern", GgufArray(std::vector<bool>{true, false})}},
                                       {{"token_embd.weight", GgufType::kQ4_K, &weight},
                                        {"output_norm.weight", GgufType::kF32, &norm},
                                        {"blk.0.attn_q.weight", GgufType::kQ5_0, &weight}});
  const platform::TemporaryFolder folder;
  const auto path = folder.path() / "x.gguf";
  const long before = support::peak_memory_kibibytes();
  int accepted = 0;
  constexpr int kRounds = 6000;
  for (int round = 0; round < kRounds; ++round) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged(sound, random);
    try {
      const GgufFile file(path);
      for (const GgufTensorInfo& info : file.tensors()) file.read(info.name);
      ++accepted;
    } catch (const platform::Error& error) {
      EXPECT_GT(std::string(error.what()).size(), 10u);
    }
  }
  std::cout << "accepted " << accepted << " of " << kRounds << "\n";
  EXPECT_LT(support::peak_memory_kibibytes() - before, support::kDamageKibibytes);
}

}  // namespace
}  // namespace finetune
