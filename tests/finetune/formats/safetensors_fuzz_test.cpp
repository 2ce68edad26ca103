// Random damage to a sound file: never a crash, never memory of the claimed size, only a platform::Error or a sound
// read.
#include <gtest/gtest.h>
#include <fstream>
#include <iostream>
#include <random>

#include "finetune/formats/safetensors.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/support/peak_memory.h"

namespace finetune {
namespace {

std::string damaged(std::string bytes, std::mt19937_64& random) {
  for (std::uint64_t times = 1 + random() % 4; times > 0 && !bytes.empty(); --times) {
    // Most damage goes into the header, where it means something.
    const std::size_t at = random() % (random() % 4 ? std::min<std::size_t>(bytes.size(), 300) : bytes.size());
    static const std::string kInteresting = "0123456789[]{},:\"-eFI\\";
    switch (random() % 6) {
      case 0: bytes[at] = static_cast<char>(random() & 0xFF); break;
      case 1: bytes[at] = kInteresting[random() % kInteresting.size()]; break;
      case 2: bytes.erase(at, 1 + random() % 8); break;
      case 3: bytes.insert(at, 1 + random() % 3, kInteresting[random() % kInteresting.size()]); break;
      case 4: bytes.resize(random() % (bytes.size() + 1)); break;
      default: bytes[random() % std::min<std::size_t>(8, bytes.size())] = static_cast<char>(random() & 0xFF); break;
    }
  }
  return bytes;
}

TEST(SafetensorsFuzz, SurvivesRandomDamageWithoutAllocatingClaimedSizes) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed: " << seed << "\n";
  std::mt19937_64 random(seed);
  const kernels::Tensor weight = kernels::Tensor::zeros({16, 8});
  const kernels::Tensor half = kernels::Tensor::zeros({8}, kernels::DataType::kBFloat16);
  const std::string sound = safetensors_bytes({{"model.norm.weight", &half}, {"model.embed_tokens.weight", &weight}});
  const platform::TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  const long before = support::peak_memory_kibibytes();
  int accepted = 0;
  constexpr int kRounds = 6000;
  for (int round = 0; round < kRounds; ++round) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged(sound, random);
    try {
      const SafetensorsFile file(path);
      for (const std::string& name : file.names()) file.read(name);
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
