#include "finetune/formats/gguf_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "platform/base/error.h"

namespace finetune {
namespace {

std::vector<float> noise(std::size_t count, double deviation, double mean = 0) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(mean, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(random));
  return values;
}

std::vector<float> there_and_back(const GgufLayout& layout, const std::vector<float>& values) {
  std::vector<std::uint8_t> bytes(values.size() / static_cast<std::size_t>(layout.block_elements) *
                                  static_cast<std::size_t>(layout.block_bytes));
  quantise_blocks(layout.type, values, bytes);
  std::vector<float> back(values.size());
  restore_blocks(layout.type, bytes, back);
  return back;
}

double relative_error(const std::vector<float>& values, const std::vector<float>& back) {
  double error = 0, whole = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error += std::pow(static_cast<double>(values[i] - back[i]), 2);
    whole += std::pow(static_cast<double>(values[i]), 2);
  }
  return std::sqrt(error / whole);
}

TEST(GgufBlocks, EveryWrittenTypeKeepsWhatItsBitsAllow) {
  const auto values = noise(1024, 0.05);
  const auto error = [&](const char* name) {
    return relative_error(values, there_and_back(*find_gguf_layout(name), values));
  };
  EXPECT_EQ(error("F32"), 0);
  EXPECT_LT(error("F16"), 3e-4);
  EXPECT_LT(error("BF16"), 3e-3);
  EXPECT_LT(error("Q8_0"), 0.008);
  EXPECT_LT(error("Q5_1"), 0.05);
  EXPECT_LT(error("Q5_0"), 0.05);
  EXPECT_LT(error("Q4_1"), 0.09);
  EXPECT_LT(error("Q4_0"), 0.10);
  EXPECT_LT(error("Q4_K"), 0.08) << "the search is worth more than one scale of its own";
}

TEST(GgufBlocks, ConstantsZerosAndTheSmallestNumbersComeBackAsTheyAre) {
  for (const GgufLayout& layout : gguf_layouts()) {
    if (layout.quantise == nullptr) continue;
    EXPECT_EQ(there_and_back(layout, std::vector<float>(256, 0.0f)), std::vector<float>(256, 0.0f)) << layout.name;
    for (const float value : there_and_back(layout, std::vector<float>(256, 1e-41f)))
      EXPECT_LE(std::fabs(value), 1e-7f);
    for (const float value : there_and_back(layout, std::vector<float>(256, 0.5f)))
      EXPECT_NEAR(value, 0.5, 2e-3) << layout.name;
    for (const float value : there_and_back(layout, std::vector<float>(256, -0.5f)))
      EXPECT_NEAR(value, -0.5, 2e-3) << layout.name;
  }
}

TEST(GgufBlocks, Q4KFollowsBlocksThatLieFarFromZero) {
  const auto values = noise(512, 0.01, -0.3);
  EXPECT_LT(relative_error(values, there_and_back(*find_gguf_layout("Q4_K"), values)), 0.01);
}

TEST(GgufBlocks, RefusesWhatDoesNotFillBlocksIsNotFiniteOrIsNotWritten) {
  std::vector<float> values(33);
  std::vector<std::uint8_t> bytes(34);
  EXPECT_THROW(quantise_blocks(GgufType::kQ8_0, values, bytes), platform::Error);
  values.resize(32);
  values[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(quantise_blocks(GgufType::kQ8_0, values, bytes), platform::Error);
  bytes.resize(33);
  EXPECT_THROW(restore_blocks(GgufType::kQ8_0, bytes, values), platform::Error);
  std::vector<float> super(256);
  bytes.resize(210);
  EXPECT_THROW(quantise_blocks(GgufType::kQ6_K, super, bytes), platform::Error);
  EXPECT_EQ(find_gguf_layout(4u), nullptr);
  EXPECT_EQ(find_gguf_layout("Q9_9"), nullptr);
}

}  // namespace
}  // namespace finetune
