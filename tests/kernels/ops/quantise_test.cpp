#include "kernels/ops/quantise.h"

#include <limits>

#include "kernels/core/error.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"
#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::contexts;
using test_support::describe;
using test_support::expect_close;
using test_support::expect_refused;
using test_support::random_tensor;
using test_support::same_bits;
using test_support::to_doubles;
using test_support::zeros;

constexpr QuantisedType kTypes[] = {QuantisedType::kNf4, QuantisedType::kNf4Nested, QuantisedType::kInt8};

Tensor restored(const QuantisedWeight& weight) {
  Context context = Context::cpu(1);
  Tensor wide(weight.shape);
  dequantise(context, weight, wide);
  return wide;
}

TEST(Quantise, RestoresEveryElementWithinHalfAStepOfItsBlock) {
  Context context = Context::cpu(2);
  const Tensor weight = random_tensor({37, 101}, 1, 0.05);
  for (const QuantisedType type : kTypes) {
    const Tensor wide = restored(quantise(context, weight, type));
    // Widest gap of the code book is 0.304 of the block's largest value, 1/127 for int8.
    const double step = type == QuantisedType::kInt8 ? 0.5 / 127 : 0.16;
    for (std::int64_t i = 0; i < weight.count(); ++i)
      ASSERT_NEAR(wide.data<float>()[i], weight.data<float>()[i], step * 0.25) << i;
  }
}

// Ends inside of a block, inside of a byte, and after more blocks than share a nested scale.
TEST(Quantise, EveryDeviceRestoresTheSameBitsInEveryType) {
  Context host = Context::cpu(1);
  for (const Shape& shape : {Shape{3, 43}, Shape{5, 13}, Shape{16, 1040}, Shape{2, 8}}) {
    for (const QuantisedType type : kTypes) {
      const QuantisedWeight weight = quantise(host, random_tensor(shape, 1, 0.05), type);
      for (const DataType wanted : {DataType::kFloat32, DataType::kBFloat16, DataType::kFloat16}) {
        const Tensor expected = restored(weight).cast_to(wanted);
        for (Context& context : contexts()) {
          Tensor out(shape, wanted, context);
          dequantise(context, weight.to(context), out);
          EXPECT_TRUE(same_bits(out, expected)) << describe(context) << " " << shape_to_string(shape);
        }
      }
    }
  }
}

TEST(Quantise, WhatWasRestoredQuantisesToItself) {
  Context context = Context::cpu(1);
  const QuantisedWeight first = quantise(context, random_tensor({8, 96}, 2), QuantisedType::kNf4);
  const QuantisedWeight again = quantise(context, restored(first), QuantisedType::kNf4);
  EXPECT_TRUE(same_bits(restored(first), restored(again)));
}

TEST(Quantise, TakesLittleMoreThanFourOrEightBitsAWeight) {
  Context context = Context::cpu(1);
  const Tensor weight = random_tensor({256, 512}, 3);
  const double count = static_cast<double>(weight.count());
  const auto bits = [&](QuantisedType type) {
    return 8.0 * static_cast<double>(quantise(context, weight, type).size_bytes()) / count;
  };
  EXPECT_NEAR(bits(QuantisedType::kNf4), 4.5, 1e-9);
  EXPECT_NEAR(bits(QuantisedType::kNf4Nested), 4 + 8.0 / 64 + 32.0 / (64 * 256), 1e-9);
  EXPECT_NEAR(bits(QuantisedType::kInt8), 8 + 32.0 / 512, 1e-9);
}

TEST(Quantise, ZerosAndEqualScalesStayWhatTheyAre) {
  Context context = Context::cpu(1);
  for (const QuantisedType type : kTypes) {
    const Tensor zeros = Tensor::zeros({3, 43});
    EXPECT_TRUE(same_bits(restored(quantise(context, zeros, type)), zeros));
  }
  const Tensor ones = Tensor::from(std::vector<float>(130, 1.0f), {2, 65});
  EXPECT_TRUE(same_bits(restored(quantise(context, ones, QuantisedType::kNf4Nested)), ones));
}

TEST(Quantise, TheNestedBookIsSortedAndHasItsKnownEnds) {
  const auto book = nested_book();
  EXPECT_TRUE(std::is_sorted(book.begin(), book.end()));
  EXPECT_EQ(book[127], 0.0f);
  EXPECT_NEAR(book[0], -0.99296875f, 1e-7f);
  EXPECT_NEAR(book[128], 5.5e-7f, 1e-12f);
  EXPECT_EQ(book[255], 1.0f);
}

TEST(Quantise, RefusesWhatIsNotFiniteOrNoFloat) {
  Context context = Context::cpu(1);
  const Tensor bad = Tensor::from<float>({1, std::numeric_limits<float>::quiet_NaN()}, {1, 2});
  expect_refused([&] { quantise(context, bad, QuantisedType::kNf4); }, {"quantise", "element 1"});
  expect_refused([&] { quantise(context, Tensor({2, 2}, DataType::kInt32), QuantisedType::kNf4); }, {"int32"});
  expect_refused([&] { quantise(context, Tensor::zeros({4}), QuantisedType::kInt8); }, {"weight", "[4]"});
  const QuantisedWeight weight = quantise(context, Tensor::zeros({2, 2}), QuantisedType::kNf4);
  Tensor out({4});
  expect_refused([&] { dequantise(context, weight, out); }, {"dequantise", "[4]", "[2, 2]"});
  expect_refused([&] { PackedWeight(quantise(context, Tensor::zeros({4}), QuantisedType::kNf4)); }, {"[4]"});
}

TEST(Quantise, AProductWithAQuantisedWeightIsThatOfItsRestoredCopy) {
  Context context = Context::cpu(2);
  // More elements than are widened at a time, and rows that end inside a block.
  const Tensor weight = random_tensor({1300, 901}, 1, 0.05);
  for (const QuantisedType type : kTypes) {
    QuantisedWeight codes = quantise(context, weight, type);
    const PackedWeight wide(restored(codes)), packed(std::move(codes));
    EXPECT_EQ(packed.out_features(), 1300);
    EXPECT_EQ(packed.in_features(), 901);
    for (const std::int64_t rows : {0, 2, 9}) {
      const Tensor x = random_tensor({rows, 901}, 3);
      Tensor y = random_tensor({rows, 1300}, 4), expected = y.clone();
      linear(context, x, packed, y, 1.0f);
      linear(context, x, wide, expected, 1.0f);
      expect_close(to_doubles(y), to_doubles(expected), 1e-5, "y");
      Tensor dx = random_tensor({rows, 901}, 5), expected_dx = dx.clone();
      linear_backward_input(context, y, packed, dx, 1.0f);
      linear_backward_input(context, y, wide, expected_dx, 1.0f);
      expect_close(to_doubles(dx), to_doubles(expected_dx), 1e-5, "dx");
    }
  }
}

// Products of few rows (read directly) and of many (widened a block at a time) beside sums in float64 over the values
// that the weight stands for.
void expect_products(Context& context, const PackedWeight& held, const Tensor& values) {
  const std::int64_t out = values.size(0), in = values.size(1);
  const float* w = values.data<float>();
  for (const std::int64_t rows : {1, 4, 7}) {
    const Tensor x = random_tensor({rows, in}, 3), dy = random_tensor({rows, out}, 5);
    Tensor y = zeros(context, {rows, out}), dx = zeros(context, {rows, in});
    linear(context, x.to(context), held, y);
    linear_backward_input(context, dy.to(context), held, dx);
    std::vector<double> wanted(static_cast<std::size_t>(rows * out)), wanted_dx(static_cast<std::size_t>(rows * in));
    for (std::int64_t n = 0; n < rows; ++n) {
      for (std::int64_t o = 0; o < out; ++o) {
        for (std::int64_t i = 0; i < in; ++i) {
          const double weight = static_cast<double>(w[o * in + i]);
          wanted[static_cast<std::size_t>(n * out + o)] += weight * static_cast<double>(x.data<float>()[n * in + i]);
          wanted_dx[static_cast<std::size_t>(n * in + i)] +=
              weight * static_cast<double>(dy.data<float>()[n * out + o]);
        }
      }
    }
    expect_close(to_doubles(y), wanted, 1e-5, "y");
    expect_close(to_doubles(dx), wanted_dx, 1e-5, "dx");
  }
}

TEST(Quantise, ProductsInEveryFormOfAWeightAreThoseOfFloat64) {
  Context host = Context::cpu(1);
  const Tensor weight = random_tensor({130, 201}, 1, 0.05);
  for (Context& context : contexts()) {
    for (const QuantisedType type : kTypes) {
      const QuantisedWeight codes = quantise(host, weight, type);
      expect_products(context, PackedWeight(codes.to(context)), restored(codes));
    }
    for (const DataType type : {DataType::kBFloat16, DataType::kFloat16}) {
      const Tensor narrow = weight.cast_to(type);
      expect_products(context, PackedWeight(narrow.to(context)), narrow.cast_to(DataType::kFloat32));
    }
  }
}

TEST(Quantise, EveryFloat16IsReadAsItsOwnValue) {
  Context context = Context::cpu(1);
  Tensor table({256, 256}, DataType::kFloat16);
  for (std::int64_t i = 0; i < table.count(); ++i) table.data<Float16>()[i] = Float16{static_cast<std::uint16_t>(i)};
  std::vector<std::int32_t> ids(256);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i);
  Tensor rows({256, 256});
  embedding_forward(context, table, Tensor::from(ids), rows);
  EXPECT_TRUE(same_bits(rows, table.cast_to(DataType::kFloat32)));
}

TEST(Quantise, ALossWithAQuantisedHeadIsThatOfItsRestoredCopy) {
  Context host = Context::cpu(1);
  const QuantisedWeight codes = quantise(host, random_tensor({50, 32}, 1), QuantisedType::kNf4Nested);
  for (Context& context : contexts()) {
    const PackedWeight wide(restored(codes).to(context)), packed(codes.to(context));
    const Tensor hidden = random_tensor({6, 32}, 2).to(context);
    const Tensor targets = Tensor::from<std::int32_t>({1, 49, -100, 7, 0, 3}).to(context);
    Tensor dhidden = zeros(context, {6, 32}), expected = zeros(context, {6, 32});
    const LossSum got = linear_cross_entropy(context, hidden, packed, targets, nullptr, {}, &dhidden, nullptr);
    const LossSum want = linear_cross_entropy(context, hidden, wide, targets, nullptr, {}, &expected, nullptr);
    EXPECT_NEAR(got.loss, want.loss, 1e-4) << describe(context);
    expect_close(to_doubles(dhidden), to_doubles(expected), 1e-5, "dhidden");
  }
}

}  // namespace
}  // namespace kernels
