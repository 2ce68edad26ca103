#include "finetune/train/tree_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "finetune/train/tree_bins.h"
#include "kernels/core/random.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::Tensor;

using Examples = std::vector<EncodedExample>;

// A staircase over the first number; the second says nothing.
Examples staircase(int count, std::uint64_t seed, double noise = 0) {
  kernels::Random random(seed);
  Examples examples(static_cast<std::size_t>(count));
  for (EncodedExample& example : examples) {
    const auto x = static_cast<float>(random.uniform());
    example.side.dense = {x, static_cast<float>(random.uniform())};
    example.value = std::floor(x * 4) + static_cast<float>(noise * random.normal());
    example.label = static_cast<std::int32_t>(x * 4);
  }
  return examples;
}

ExamplePointers pointers_to(const Examples& examples) {
  ExamplePointers pointers;
  for (const EncodedExample& example : examples) pointers.push_back(&example);
  return pointers;
}

struct Setting {
  kernels::Context context = kernels::Context::cpu(1);
  HeadTarget target{.task = Task::kRegress};

  TreeFit fit(const Examples& train, const Examples& validation, const TreeFitOptions& options = {},
              const std::function<bool()>& should_stop = {}) {
    return fit_side_trees(context, target, {0, 1}, pointers_to(train), pointers_to(validation), nullptr, options,
                          should_stop);
  }
  Tensor outputs(const SideTrees& trees, const Examples& examples) {
    std::vector<const SideInput*> inputs;
    for (const EncodedExample& example : examples) inputs.push_back(&example.side);
    Tensor made = Tensor::zeros({static_cast<std::int64_t>(examples.size()), output_count(target)});
    trees.add_to(context, inputs, made);
    return made;
  }
  double rmse(const SideTrees& trees, const Examples& examples) {
    const Tensor made = outputs(trees, examples);
    double squares = 0;
    for (std::size_t i = 0; i < examples.size(); ++i)
      squares += std::pow(static_cast<double>(made.data<float>()[i] - examples[i].value), 2);
    return std::sqrt(squares / static_cast<double>(examples.size()));
  }
};

TEST(TreeFit, FindsTheStepsOfAStaircase) {
  Setting setting;
  const TreeFit fit = setting.fit(staircase(600, 1), staircase(200, 2));
  EXPECT_GT(fit.rounds, 20);
  EXPECT_LT(setting.rmse(fit.trees, staircase(500, 3)), 0.12);
  for (const SideTree& tree : fit.trees.trees) {
    if (tree.nodes.size() > 1) {
      EXPECT_EQ(tree.nodes.front().column, 0) << "the other number says nothing";
      break;
    }
  }
}

TEST(TreeFit, TellsLabelsWithOneTreeForEachInEveryRound) {
  Setting setting;
  setting.target = {.task = Task::kClassify, .labels = 4};
  const TreeFit fit = setting.fit(staircase(600, 1), staircase(200, 2));
  EXPECT_EQ(fit.trees.trees.size(), static_cast<std::size_t>(4 * fit.rounds));
  const Examples unseen = staircase(400, 3);
  const Tensor outputs = setting.outputs(fit.trees, unseen);
  int right = 0;
  for (std::size_t i = 0; i < unseen.size(); ++i) {
    const float* row = outputs.data<float>() + 4 * i;
    right += std::max_element(row, row + 4) - row == unseen[i].label ? 1 : 0;
  }
  EXPECT_GE(right, 390);
}

// One number that is over a limit for a share of the examples; the labels follow from it, most of them rare.
TEST(TreeFit, StartsFromTheSharesOfLabelsThatAreNotEquallyFrequent) {
  for (const std::vector<double>& shares : {std::vector<double>{0.7, 0.3}, {0.8, 0.15, 0.05}, {0.9, 0.1}}) {
    Setting setting;
    setting.target = {.task = Task::kClassify, .labels = static_cast<std::int64_t>(shares.size())};
    const auto made = [&](int count, std::uint64_t seed) {
      Examples examples = staircase(count, seed);
      for (EncodedExample& example : examples) {
        double beyond = static_cast<double>(example.side.dense[0]);
        example.label = 0;
        while (example.label + 1 < setting.target.labels && beyond > shares[static_cast<std::size_t>(example.label)])
          beyond -= shares[static_cast<std::size_t>(example.label++)];
      }
      return examples;
    };
    const Examples train = made(2000, 1), validation = made(500, 2);
    const TreeFit fit = setting.fit(train, validation);
    ASSERT_FALSE(fit.trees.empty());
    EXPECT_LT(fit.loss, 0.05);
    double sum = 0;
    for (const float each : fit.trees.start) sum += std::exp(static_cast<double>(each));
    for (std::size_t k = 0; k < shares.size(); ++k)
      EXPECT_NEAR(std::exp(static_cast<double>(fit.trees.start[k])) / sum, shares[k], 0.03);
  }
}

TEST(TreeFit, MeansTheSameWhateverTheWeightsAre) {
  Setting setting;
  Examples train = staircase(400, 1, 0.3), light = staircase(400, 1, 0.3);
  for (EncodedExample& example : light) example.weight = 0.001f;
  const Examples validation = staircase(200, 2, 0.3);
  EXPECT_NEAR(setting.fit(light, validation).loss, setting.fit(train, validation).loss, 1e-3);
}

TEST(TreeFit, StartsQuantilesWhereTheyAre) {
  Setting setting;
  setting.target.form.quantiles = {0.1, 0.5, 0.9};
  Examples train = staircase(500, 1);
  for (std::size_t i = 0; i < train.size(); ++i) train[i].value = static_cast<float>(i) * (i % 100 == 0 ? 1000 : 1);
  const TreeFit fit = setting.fit(train, {}, {.rounds = 1});
  EXPECT_NEAR(fit.trees.start[0], 52, 4);
  EXPECT_NEAR(fit.trees.start[1], 252, 4);
  EXPECT_NEAR(fit.trees.start[2], 454, 5);
}

// Minutes of work without the limit.
TEST(TreeFit, GrowsFewerRoundsOverALargeTable) {
  Setting setting;
  setting.target = {.task = Task::kMultilabel, .labels = 64};
  kernels::Random random(1);
  Examples train(300);
  std::vector<std::int32_t> columns(512);
  std::iota(columns.begin(), columns.end(), 0);
  for (EncodedExample& example : train) {
    for (std::size_t i = 0; i < columns.size(); ++i) example.side.dense.push_back(static_cast<float>(random.normal()));
    example.marks.assign(64, 0.0f);
    example.marks[random.below(64)] = 1;
  }
  const auto all = pointers_to(train);
  int trees = 0;
  try {
    fit_side_trees(setting.context, setting.target, columns, all, {}, nullptr, {.rounds = 1000},
                   [&] { return ++trees > 64 * 100; });
  } catch (const platform::Error&) {
    FAIL() << "more than a hundred rounds";
  }
}

TEST(TreeFit, StopsWhereTheValidationPartGainsNothingMore) {
  Setting setting;
  const TreeFit fit = setting.fit(staircase(300, 1, 2.0), staircase(300, 2, 2.0), {.rounds = 400});
  EXPECT_LT(fit.rounds, 100);
  EXPECT_GT(fit.loss, 1.0);
  EXPECT_EQ(fit.trees.trees.size(), static_cast<std::size_t>(fit.rounds)) << "what came after the best look is gone";
}

TEST(TreeFit, TakesEveryRoundWithoutAValidationPart) {
  Setting setting;
  EXPECT_EQ(setting.fit(staircase(200, 1), {}, {.rounds = 7}).trees.trees.size(), 7U);
}

TEST(TreeFit, LeavesAtLeastAsManyExamplesInALeafAsAsked) {
  Setting setting;
  const Examples train = staircase(1000, 1);
  const TreeFit fit = setting.fit(train, {}, {.rounds = 1, .leaves = 200, .examples_in_leaf = 20});
  std::map<float, int> answers;
  for (const EncodedExample& example : train) ++answers[fit.trees.trees[0].answer(example.side.dense)];
  EXPECT_GT(answers.size(), 3U);
  for (const auto& [value, count] : answers) EXPECT_GE(count, 20) << value;
}

TEST(TreeFit, GrowsNoTreesWhereThereIsNothingToDivide) {
  Setting setting;
  Examples same(50);
  for (EncodedExample& example : same) example.side.dense = {1, 1};
  same[3].value = 5;
  EXPECT_TRUE(setting.fit(same, same).trees.empty());
  EXPECT_TRUE(setting.fit({}, {}).trees.empty());
  EXPECT_TRUE(setting.fit(staircase(100, 1), {}, {.rounds = 0}).trees.empty());
  setting.target = {.task = Task::kForecast, .form = {.horizon = 65}};
  EXPECT_TRUE(setting.fit(same, same).trees.empty()) << "too many outputs";
}

TEST(TreeFit, GivesTheSameTreesWithAnyNumberOfThreads) {
  const Examples train = staircase(500, 1, 0.5), validation = staircase(100, 2, 0.5);
  Setting one, four;
  four.context = kernels::Context::cpu(4);
  const auto a = to_tensors(one.fit(train, validation).trees), b = to_tensors(four.fit(train, validation).trees);
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_EQ(tensor.size_bytes(), b.at(name).size_bytes()) << name;
    EXPECT_EQ(std::memcmp(tensor.raw_data(), b.at(name).raw_data(), tensor.size_bytes()), 0) << name;
  }
}

TEST(TreeFit, EndsWhenItIsAskedTo) {
  Setting setting;
  try {
    setting.fit(staircase(100, 1), {}, {}, [] { return true; });
    FAIL() << "it went on";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCancelled);
  }
}

// More values than bins: the thresholds lie between them, and equal values are never divided.
TEST(TreeBins, PutEqualSharesBetweenThresholdsThatLieBetweenValues) {
  kernels::Context context = kernels::Context::cpu(2);
  std::vector<SideInput> rows(5000);
  kernels::Random random(4);
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i].dense = {static_cast<float>(random.normal()), static_cast<float>(i % 3), 7};
  std::vector<const SideInput*> inputs;
  for (const SideInput& row : rows) inputs.push_back(&row);
  const TreeBins bins(context, inputs, {0, 1, 2});
  EXPECT_EQ(bins.thresholds(0).size(), kMostBins - 1);
  EXPECT_EQ(bins.thresholds(1), (std::vector<float>{0.5f, 1.5f}));
  EXPECT_EQ(bins.columns(), 2) << "what is always the same cannot be asked";
  EXPECT_EQ(bins.first_bin(2), kMostBins + 3);
  std::vector<int> counts(kMostBins);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint8_t bin = bins.bins(0)[i];
    ++counts[bin];
    if (bin > 0) {
      EXPECT_GT(rows[i].dense[0], bins.thresholds(0)[bin - 1U]);
    }
    if (bin < kMostBins - 1) {
      EXPECT_LE(rows[i].dense[0], bins.thresholds(0)[bin]);
    }
  }
  for (const int count : counts) EXPECT_NEAR(count, 5000.0 / kMostBins, 2);
}

}  // namespace
}  // namespace finetune
