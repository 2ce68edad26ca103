#include "finetune/train/side_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "platform/base/error.h"

namespace finetune {
namespace {

// Two numbers whose product's sign is the label: no linear model can tell it. A share of the labels is wrong.
ExamplePointers crossed(int count, std::uint64_t seed, double wrong = 0) {
  kernels::Random random(seed);
  static std::vector<std::unique_ptr<EncodedExample>> kept;  // for as long as the tests run
  ExamplePointers examples;
  for (int i = 0; i < count; ++i) {
    EncodedExample example;
    const auto a = static_cast<float>(2 * random.uniform() - 1), b = static_cast<float>(2 * random.uniform() - 1);
    example.side.dense = {a, b};
    example.label = (a * b > 0) != (random.uniform() < wrong) ? 1 : 0;
    examples.push_back(kept.emplace_back(std::make_unique<EncodedExample>(std::move(example))).get());
  }
  return examples;
}

constexpr SideShape kShape{.dense = 2, .outputs = 2, .members = 2, .width = 16};

struct Setting {
  kernels::Context context = kernels::Context::cpu(1);
  kernels::Random random{3};
  SideNetwork network{kShape, random};
  HeadTarget target{.task = Task::kClassify, .labels = 2};

  double accuracy(const ExamplePointers& examples) {
    double right = 0;
    for (const EncodedExample* example : examples) {
      const SideInput* input = &example->side;
      const kernels::Tensor& output = network.forward(context, std::span<const SideInput* const>(&input, 1));
      right += (output.values<float>()[1] > output.values<float>()[0]) == (example->label == 1) ? 1 : 0;
    }
    return right / static_cast<double>(examples.size());
  }
};

TEST(SideFit, LearnsWhatNoLinearModelCanTell) {
  Setting setting;
  const SideFit fit = fit_side_network(setting.context, setting.network, setting.target, crossed(400, 1),
                                       crossed(100, 2), nullptr, {}, {});
  EXPECT_GE(setting.accuracy(crossed(300, 3)), 0.93);
  EXPECT_GT(fit.best_step, 0);
  EXPECT_LT(fit.loss, 0.25);
}

TEST(SideFit, IsNoSurerOfItselfThanTheValidationPartAllows) {
  Setting setting;
  const SideFit fit = fit_side_network(setting.context, setting.network, setting.target, crossed(60, 1, 0.3),
                                       crossed(200, 2, 0.3), nullptr, {.min_steps = 2000}, {});
  EXPECT_LT(fit.factor, 1);
  EXPECT_LE(fit.loss, std::log(2.0) + 0.02) << "worse than to say nothing";
}

TEST(SideFit, GivesTheSameWeightsForTheSameSeed) {
  Setting one, other, another;
  const auto fit = [](Setting& setting, std::uint64_t seed) {
    fit_side_network(setting.context, setting.network, setting.target, crossed(50, 1), crossed(20, 2), nullptr,
                     {.min_steps = 60, .max_steps = 60, .seed = seed}, {});
    const auto values = setting.network.weights().front()->value.values<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> first = fit(one, 7);
  EXPECT_EQ(fit(other, 7), first);
  EXPECT_NE(fit(another, 8), first);
}

TEST(SideFit, StopsAtTheShareOfItsStepsThatItIsGiven) {
  Setting whole, half;
  const SideFitOptions options{.min_steps = 100, .max_steps = 100, .looks = 2};
  const SideFit fit =
      fit_side_network(whole.context, whole.network, whole.target, crossed(64, 1), {}, nullptr, options, {});
  EXPECT_EQ(fit.best_step, 100);
  SideFitOptions shorter = options;
  shorter.stop_at = 0.5;
  fit_side_network(half.context, half.network, half.target, crossed(64, 1), {}, nullptr, shorter, {});
  EXPECT_FALSE(std::ranges::equal(whole.network.weights().front()->value.values<float>(),
                                  half.network.weights().front()->value.values<float>()));
}

TEST(SideFit, LeavesTheNetworkAsItWasWhenItIsAskedToStop) {
  Setting setting;
  const kernels::Tensor before = setting.network.weights().front()->value.clone();
  try {
    fit_side_network(setting.context, setting.network, setting.target, crossed(400, 1), {}, nullptr,
                     {.min_steps = 100'000'000, .max_steps = 100'000'000}, [] { return true; });
    FAIL() << "it came to an end";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCancelled);
  }
  const auto after = setting.network.weights().front()->value.values<float>();
  EXPECT_TRUE(std::equal(after.begin(), after.end(), before.values<float>().begin()));
}

}  // namespace
}  // namespace finetune
