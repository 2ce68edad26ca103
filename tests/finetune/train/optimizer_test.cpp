#include "finetune/train/optimizer.h"

#include <gtest/gtest.h>

#include <limits>

#include "finetune/train/schedule.h"

namespace finetune {
namespace {

TEST(Schedule, WarmsUpAndFallsToZero) {
  EXPECT_EQ(schedule_factor("cosine", 0, 10, 100), 0.0);
  EXPECT_NEAR(step_factor("cosine", 0, 10, 100), 1.0 / 11, 1e-12);
  EXPECT_GT(step_factor("linear", 99, 10, 100), 0.0);
  EXPECT_NEAR(schedule_factor("cosine", 10, 10, 100), 1.0, 1e-12);
  EXPECT_NEAR(schedule_factor("cosine", 55, 10, 100), 0.5, 1e-12);
  EXPECT_NEAR(schedule_factor("linear", 55, 10, 100), 0.5, 1e-12);
  EXPECT_EQ(schedule_factor("constant", 99, 10, 100), 1.0);
  EXPECT_THROW(schedule_factor("triangle", 20, 10, 100), platform::Error);
}

TEST(Optimizer, DescentWithMomentumKeepsOneMomentAWeight) {
  Weight weight;
  weight.name = "w";
  weight.value = kernels::Tensor::from(std::vector<float>{1.0f});
  weight.gradient = kernels::Tensor::from(std::vector<float>{0.5f});
  Optimizer optimizer({{&weight}}, {.kind = OptimizerKind::kSgd, .weight_decay = 0});
  kernels::Context context = kernels::Context::cpu(1);
  optimizer.step(context, 0.1);
  optimizer.step(context, 0.1);
  EXPECT_NEAR(weight.value.data<float>()[0], 1 - 0.05 - 0.095, 1e-6);
  const auto tensors = optimizer.tensors();
  EXPECT_EQ(tensors.size(), 2u);
  EXPECT_NEAR(tensors.at("w.m")->data<float>()[0], 0.95, 1e-6);
}

TEST(Optimizer, SkipsAndCountsAStepWithANonFiniteGradient) {
  Weight weight;
  weight.name = "w";
  weight.value = kernels::Tensor::from(std::vector<float>{1.0f, 2.0f});
  weight.gradient = kernels::Tensor::from(std::vector<float>{0.5f, std::numeric_limits<float>::quiet_NaN()});
  Optimizer optimizer({{&weight}}, {});
  kernels::Context context = kernels::Context::cpu(1);
  optimizer.step(context, 0.1);
  EXPECT_EQ(optimizer.skipped(), 1);
  EXPECT_EQ(optimizer.steps(), 0);
  EXPECT_EQ(weight.value.data<float>()[0], 1.0f);
  EXPECT_EQ(optimizer.first_not_finite(), "the gradient of w");
  optimizer.step(context, 0.1);
  EXPECT_EQ(optimizer.skipped_in_a_row(), 2);
  weight.gradient.fill_zero();
  optimizer.step(context, 0.1);
  EXPECT_EQ(optimizer.skipped_in_a_row(), 0);
  EXPECT_EQ(optimizer.skipped(), 2);
  EXPECT_EQ(optimizer.first_not_finite(), "");
  weight.value.data<float>()[1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(optimizer.first_not_finite(), "the weight w");
}

}  // namespace
}  // namespace finetune
