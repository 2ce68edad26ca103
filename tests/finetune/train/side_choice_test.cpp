#include "finetune/train/side_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::Tensor;
using Examples = std::vector<EncodedExample>;

constexpr int kColumns = 8;

Examples examples_of(int count, std::uint64_t seed, const std::function<double(const std::vector<float>&)>& truth) {
  kernels::Random random(seed);
  Examples examples(static_cast<std::size_t>(count));
  for (EncodedExample& example : examples) {
    for (int i = 0; i < kColumns; ++i) example.side.dense.push_back(static_cast<float>(random.normal()));
    example.value = static_cast<float>(truth(example.side.dense));
  }
  return examples;
}

double sum(const std::vector<float>& row) {
  double all = 0;
  for (const float value : row) all += static_cast<double>(value) / std::sqrt(kColumns);
  return all;
}
// What a machine's limits decide.
double limits(const std::vector<float>& row) {
  return (row[0] > 0.31f ? 1 : 0) + (row[1] > -0.44f ? 2 : 0) + (row[2] > 0.6f && row[3] < 0 ? 3 : 0);
}

ExamplePointers pointers_to(const Examples& examples) {
  ExamplePointers pointers;
  for (const EncodedExample& example : examples) pointers.push_back(&example);
  return pointers;
}

constexpr SideShape kShape{.dense = kColumns, .outputs = 1, .members = 2, .width = 16};

struct Setting {
  kernels::Context context = kernels::Context::cpu(2);
  HeadTarget target{.task = Task::kRegress};
  kernels::Random random{3};
  SideNetwork network{kShape, random};
  SideTrees trees;

  SideFitting fitting(const ExamplePointers& train, const ExamplePointers& validation) const {
    return {.target = target, .train = train, .validation = validation, .tree_columns = {0, 1, 2, 3, 4, 5, 6, 7}};
  }
  double rmse(const Examples& examples) {
    double squares = 0;
    for (const EncodedExample& example : examples) {
      const SideInput* input = &example.side;
      Tensor output = network.forward(context, std::span<const SideInput* const>(&input, 1)).clone();
      trees.add_to(context, std::span<const SideInput* const>(&input, 1), output);
      squares += std::pow(static_cast<double>(output.values<float>()[0] - example.value), 2);
    }
    return std::sqrt(squares / static_cast<double>(examples.size()));
  }
};

TEST(SideChoice, LeavesASumOfSmallThingsToTheNetwork) {
  Setting setting;
  const Examples train = examples_of(400, 1, sum), validation = examples_of(150, 2, sum);
  const auto all = pointers_to(train), seen = pointers_to(validation);
  const SideChoice choice = fit_side(setting.context, setting.network, setting.trees, setting.fitting(all, seen), {});
  EXPECT_EQ(choice.tree_factor, 0);
  EXPECT_TRUE(setting.trees.empty());
  EXPECT_LT(setting.rmse(examples_of(200, 3, sum)), 0.1);
}

TEST(SideChoice, GivesWhatLiesBeyondThresholdsToTheTrees) {
  Setting setting;
  const Examples train = examples_of(3000, 1, limits), validation = examples_of(300, 2, limits);
  const auto all = pointers_to(train), seen = pointers_to(validation);
  const SideChoice choice = fit_side(setting.context, setting.network, setting.trees, setting.fitting(all, seen), {});
  EXPECT_GE(choice.tree_factor, 0.5);
  EXPECT_GT(choice.tree_rounds, 0);
  const double first = setting.rmse(examples_of(500, 3, limits));
  EXPECT_LT(first, 0.25);

  Setting again;
  ExamplePointers both = all;
  both.insert(both.end(), seen.begin(), seen.end());
  refit_side(again.context, again.network, again.trees, again.fitting(both, {}), choice, {});
  EXPECT_EQ(static_cast<std::int64_t>(again.trees.trees.size()), choice.tree_rounds);
  EXPECT_NEAR(again.rmse(examples_of(500, 3, limits)), first, 0.1);
}

// What a plant's rule decides, without an exception among a few dozen examples.
TEST(SideChoice, IsNotCertainOfWhatItHasSeenNoExceptionTo) {
  Setting setting;
  setting.target = {.task = Task::kClassify, .labels = 2};
  setting.network = SideNetwork({.dense = kColumns, .outputs = 2, .members = 2, .width = 16}, setting.random);
  const auto ruled = [](int count, std::uint64_t seed) {
    Examples examples = examples_of(count, seed, limits);
    for (EncodedExample& example : examples) {
      example.label = example.side.dense[0] > 0 ? 1 : 0;
      example.side.dense[0] += example.label == 1 ? 0.5f : -0.5f;
    }
    return examples;
  };
  const auto doubt_of = [&](const Examples& examples) {
    double doubt = 0;
    for (const EncodedExample& example : examples) {
      const SideInput* input = &example.side;
      Tensor output = setting.network.forward(setting.context, std::span<const SideInput* const>(&input, 1)).clone();
      setting.trees.add_to(setting.context, std::span<const SideInput* const>(&input, 1), output);
      doubt +=
          1 - head_answer(setting.target, example, output.values<float>()).at(static_cast<std::size_t>(example.label));
    }
    return doubt / static_cast<double>(examples.size());
  };
  const Examples train = ruled(300, 1), validation = ruled(40, 2);
  const auto all = pointers_to(train), seen = pointers_to(validation);
  const SideChoice choice = fit_side(setting.context, setting.network, setting.trees, setting.fitting(all, seen), {});
  EXPECT_NEAR(doubt_of(validation), 1.0 / 42, 1e-3);
  EXPECT_LT(doubt_of(ruled(300, 3)), 2.0 / 42);

  Setting again;
  again.target = setting.target;
  SideNetwork fresh({.dense = kColumns, .outputs = 2, .members = 2, .width = 16}, again.random);
  refit_side(again.context, fresh, again.trees, again.fitting(all, {}), choice, {});
  std::swap(setting.network, fresh);
  std::swap(setting.trees, again.trees);
  EXPECT_GT(doubt_of(validation), 0.2 / 42) << "a fit to all of the data is as sure as the first";
}

TEST(SideChoice, TakesTheNetworkAloneWhereNothingSaysWhichIsBetter) {
  Setting setting;
  const Examples train = examples_of(300, 1, limits);
  const auto all = pointers_to(train);
  const SideChoice choice = fit_side(setting.context, setting.network, setting.trees, setting.fitting(all, {}), {});
  EXPECT_TRUE(setting.trees.empty());
  EXPECT_EQ(choice.network_share, 1);
}

TEST(SideChoice, LeavesBothAsTheyWereWhenItIsAskedToStop) {
  Setting setting;
  const Examples train = examples_of(300, 1, limits);
  const auto all = pointers_to(train);
  const double before = setting.rmse(train);
  EXPECT_THROW(
      fit_side(setting.context, setting.network, setting.trees, setting.fitting(all, all), [] { return true; }),
      platform::Error);
  EXPECT_EQ(setting.rmse(train), before);
}

}  // namespace
}  // namespace finetune
