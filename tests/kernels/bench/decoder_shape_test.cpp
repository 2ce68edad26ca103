#include "kernels/bench/decoder_shape.h"

#include <gtest/gtest.h>

namespace kernels {
namespace {

const DecoderShape& shape(const std::string& name) {
  for (const DecoderShape& each : decoder_shapes()) {
    if (each.name == name) return each;
  }
  throw std::invalid_argument(name);
}

TEST(DecoderShape, WeightsAreThoseOfTheSevenLinearLayers) {
  EXPECT_EQ(linear_weights(shape("nano")), 6 * (2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 768));
  EXPECT_EQ(linear_weights(shape("smol")), 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536));
  EXPECT_EQ(adapter_weights(shape("nano"), 16), 466'944);
  EXPECT_EQ(adapter_weights(shape("smol"), 16), 4'884'480);
}

TEST(DecoderShape, ATrainedTokenTakesTheArithmeticOfItsFormula) {
  EXPECT_NEAR(training_flop_per_token(shape("nano"), 16, 512), 30.6e6, 0.05e6);
  EXPECT_NEAR(training_flop_per_token(shape("smol"), 16, 512), 620e6, 0.5e6);
}

TEST(DecoderShape, LongerSequencesAndHigherRanksTakeMore) {
  const DecoderShape& nano = shape("nano");
  EXPECT_EQ(training_flop_per_token(nano, 16, 1024) - training_flop_per_token(nano, 16, 512), 6.0 * 6 * 512 * 256);
  EXPECT_EQ(training_flop_per_token(nano, 32, 512) - training_flop_per_token(nano, 16, 512), 6.0 * 466'944);
}

TEST(DecoderShape, HeadsDivideTheHiddenSize) {
  for (const DecoderShape& each : decoder_shapes()) {
    EXPECT_EQ(each.head_size() * each.heads, each.hidden) << each.name;
    EXPECT_EQ(each.heads % each.key_value_heads, 0) << each.name;
  }
}

}  // namespace
}  // namespace kernels
