#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/parallel.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"
#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::expect_refused;

TEST(DataTypes, BFloat16RoundsToNearestEven) {
  EXPECT_EQ(to_bfloat16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);  // tie, even below
  EXPECT_EQ(to_bfloat16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);  // tie, even above
  EXPECT_EQ(to_bfloat16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(to_float(to_bfloat16(std::numeric_limits<float>::max())), std::numeric_limits<float>::infinity());
}

TEST(DataTypes, EveryFloat16ComesBackUnchanged) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const float value = to_float(Float16{static_cast<std::uint16_t>(bits)});
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_float16(value))));
    } else {
      ASSERT_EQ(to_float16(value).bits, bits);
    }
  }
}

TEST(DataTypes, Float16RoundsHalfwayCasesToEvenAndOverflowsToInfinity) {
  for (std::uint32_t bits = 0; bits < 0x7bffu; ++bits) {
    const float low = to_float(Float16{static_cast<std::uint16_t>(bits)});
    const float high = to_float(Float16{static_cast<std::uint16_t>(bits + 1)});
    const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(to_float16((low + high) / 2.0f).bits, even);
    ASSERT_EQ(to_float16(std::nextafter((low + high) / 2.0f, high)).bits, bits + 1);
  }
  EXPECT_EQ(to_float16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_float16(65520.0f).bits, 0x7c00);
}

TEST(Tensors, ViewsShareMemoryAndSlicesStartAtTheirRow) {
  Tensor tensor = Tensor::from<float>({0, 1, 2, 3, 4, 5}, {3, 2});
  Tensor rows = tensor.slice_rows(1, 3);
  rows.data<float>()[0] = 42.0f;
  EXPECT_EQ(tensor.data<float>()[2], 42.0f);
  EXPECT_EQ(tensor.view({6}).data<float>()[5], 5.0f);
  EXPECT_FALSE(rows.owns_memory());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.raw_data()) % 64, 0u);
}

TEST(Tensors, AViewOfAConstTensorCannotBeWritten) {
  const Tensor tensor = Tensor::zeros({4});
  Tensor view = tensor.view({2, 2});
  EXPECT_TRUE(view.read_only());
  EXPECT_EQ(std::as_const(view).data<float>()[3], 0.0f);
  expect_refused([&] { view.data<float>(); }, {"read-only", "[2, 2]"});
}

TEST(Tensors, RefusesWrongTypesShapesAndSizesNamingThem) {
  Tensor tensor({2, 3});
  expect_refused([&] { tensor.data<std::int32_t>(); }, {"int32", "float32", "[2, 3]"});
  expect_refused([&] { tensor.view({5}); }, {"[2, 3]", "[5]"});
  expect_refused([&] { tensor.slice_rows(1, 3); }, {"1..3", "[2, 3]"});
  expect_refused([] { Tensor({-1}); }, {"[-1]", "negative"});
  expect_refused([] { Tensor({1ll << 40, 1ll << 40}); }, {"too large"});
  expect_refused([] { Tensor::from<float>({1, 2}, {3}); }, {"2 values", "[3]"});
}

TEST(Tensors, ResizingKeepsTheLargerMemory) {
  Tensor tensor({100});
  const void* memory = tensor.raw_data();
  tensor.resize({10, 2});
  EXPECT_EQ(tensor.count(), 20);
  tensor.resize({100});
  EXPECT_EQ(tensor.raw_data(), memory);
  Tensor view = tensor.view();
  expect_refused([&] { view.resize({1}); }, {"view"});
}

TEST(Tensors, MovingLeavesTheTargetWithTheValuesAndCastsRound) {
  Tensor tensor = Tensor::from<float>({1.0f, 0.1f});
  Tensor moved = std::move(tensor);
  EXPECT_EQ(moved.count(), 2);
  EXPECT_EQ(moved.cast_to(DataType::kBFloat16).data<BFloat16>()[1].bits, to_bfloat16(0.1f).bits);
  EXPECT_EQ(moved.cast_to(DataType::kFloat16).cast_to(DataType::kFloat32).data<float>()[0], 1.0f);
}

TEST(Contexts, CudaIsRefusedWithAReasonWhereItIsNotBuiltIn) {
  if (kCudaBuilt) GTEST_SKIP() << "CUDA is built in";
  try {
    Context::cuda(0);
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("built without CUDA"), std::string::npos);
  }
  EXPECT_GE(Context::cpu().threads(), 1);
}

TEST(Contexts, ScratchFramesNestAndSettleOnOneBlock) {
  Context context = Context::cpu(1);
  for (int round = 0; round < 3; ++round) {
    ScratchFrame outer(context);
    float* first = outer.floats(300000);
    first[299999] = 1.0f;
    {
      ScratchFrame inner(context);
      float* second = inner.floats(500000);
      second[0] = 2.0f;
      EXPECT_EQ(first[299999], 1.0f);
    }
    float* third = outer.floats(10);
    EXPECT_TRUE(third >= first + 300000 || third + 10 <= first);
  }
  EXPECT_LT(context.workspace_bytes(), 8u << 20);
}

TEST(Parallel, RangesCoverEveryIndexOnce) {
  for (const int threads : {1, 2, 3}) {
    const Context context = Context::cpu(threads);
    for (const std::int64_t count : {0, 1, 2, 7, 100}) {
      std::vector<int> seen(static_cast<std::size_t>(count));
      parallel_for(context, count, 3, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
      });
      parallel_tasks(context, count, [&](std::int64_t i, int slot) {
        if (slot >= 0 && slot < threads) ++seen[static_cast<std::size_t>(i)];
      });
      EXPECT_EQ(std::count(seen.begin(), seen.end(), 2), count);
    }
  }
}

TEST(RandomNumbers, ContinueFromASavedState) {
  Random random(7);
  for (int i = 0; i < 10; ++i) random.normal();
  Random resumed(random.state());
  EXPECT_EQ(random.uniform(), resumed.uniform());
  EXPECT_EQ(random.below(1000), resumed.below(1000));
  EXPECT_NE(Random(1).bits(), Random(2).bits());
}

TEST(RandomNumbers, HaveTheMomentsTheyPromise) {
  Random random(3);
  double mean = 0.0, normal_mean = 0.0, variance = 0.0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    mean += random.uniform() / kCount;
    const double value = random.normal();
    normal_mean += value / kCount;
    variance += value * value / kCount;
  }
  EXPECT_NEAR(mean, 0.5, 0.005);
  EXPECT_NEAR(normal_mean, 0.0, 0.015);
  EXPECT_NEAR(variance, 1.0, 0.02);
}

}  // namespace
}  // namespace kernels
