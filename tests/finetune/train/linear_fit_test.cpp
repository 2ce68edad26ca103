#include "finetune/train/linear_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "finetune/train/side_choice.h"
#include "finetune/train/side_fit.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::Tensor;
using Examples = std::vector<EncodedExample>;

constexpr std::int64_t kWords = 400;
constexpr SideShape kShape{.ngrams = kWords, .outputs = 3, .members = 2, .width = 8};

// Texts of twelve words of 400, of which 40 tell a class each and the rest nothing; a share of labels is wrong.
Examples texts(int count, std::uint64_t seed, double wrong = 0) {
  kernels::Random random(seed);
  Examples examples(static_cast<std::size_t>(count));
  for (EncodedExample& example : examples) {
    example.label = static_cast<std::int32_t>(random.below(3));
    for (int i = 0; i < 12; ++i) {
      const bool tells = i < 2;
      const auto word = static_cast<std::int32_t>(
          tells ? 40 * static_cast<std::uint64_t>(example.label) + random.below(40) : 120 + random.below(kWords - 120));
      example.side.text.ids.push_back(word);
      example.side.text.weights.push_back(0.3f);
    }
    if (random.uniform() < wrong) example.label = static_cast<std::int32_t>(random.below(3));
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
  HeadTarget target{.task = Task::kClassify, .labels = 3};
};

double accuracy(Setting& setting, const SideLinear& linear, const Examples& examples) {
  Tensor outputs({static_cast<std::int64_t>(examples.size()), 3});
  linear_outputs(setting.context, linear, pointers_to(examples), outputs);
  double right = 0;
  for (std::size_t row = 0; row < examples.size(); ++row) {
    const float* said = outputs.data<float>() + row * 3;
    right += std::max_element(said, said + 3) - said == examples[row].label ? 1 : 0;
  }
  return right / static_cast<double>(examples.size());
}

// The gradient of the whole objective is 0 at its end: sum of (p - y) x / n + w / (C n) for each weight.
TEST(LinearFit, EndsWhereTheHeldBackLossHasNoSlope) {
  Setting setting;
  const Examples train = texts(300, 1);
  const auto all = pointers_to(train);
  const double strength = 5;
  const LinearFit fit =
      fit_linear(setting.context, kShape, setting.target, all, {}, nullptr, {.strength = strength}, {});
  EXPECT_EQ(fit.strength, strength);
  Tensor outputs({300, 3});
  linear_outputs(setting.context, fit.linear, all, outputs);
  std::vector<double> slopes(static_cast<std::size_t>(kWords * 3), 0.0);
  for (std::size_t row = 0; row < train.size(); ++row) {
    const float* said = outputs.data<float>() + row * 3;
    double sum = 0;
    for (int k = 0; k < 3; ++k) sum += std::exp(static_cast<double>(said[k]));
    for (int k = 0; k < 3; ++k) {
      const double off = std::exp(static_cast<double>(said[k])) / sum - (train[row].label == k ? 1 : 0);
      const TextWeights& text = train[row].side.text;
      for (std::size_t i = 0; i < text.ids.size(); ++i)
        slopes[static_cast<std::size_t>(text.ids[i] * 3 + k)] += off * static_cast<double>(text.weights[i]) / 300;
    }
  }
  for (std::size_t i = 0; i < slopes.size(); ++i)
    ASSERT_NEAR(slopes[i] + static_cast<double>(fit.linear.ngrams.data<float>()[i]) / (strength * 300), 0, 1e-4) << i;
}

TEST(LinearFit, IsHeldBackMoreWhereLabelsAreLessCertain) {
  Setting setting;
  const auto strength_with = [&](double wrong) {
    const Examples train = texts(400, 1, wrong), validation = texts(300, 2, wrong);
    return fit_linear(setting.context, kShape, setting.target, pointers_to(train), pointers_to(validation), nullptr, {},
                      {})
        .strength;
  };
  EXPECT_GT(strength_with(0), strength_with(0.6));
}

TEST(LinearFit, LearnsWhatWordsTellFromFewTexts) {
  Setting setting;
  const Examples train = texts(400, 1), validation = texts(100, 2);
  const LinearFit fit =
      fit_linear(setting.context, kShape, setting.target, pointers_to(train), pointers_to(validation), nullptr, {}, {});
  EXPECT_GE(accuracy(setting, fit.linear, texts(400, 3)), 0.9);
  EXPECT_LT(fit.loss, 0.5);
}

TEST(LinearFit, LeavesAtOnceWhenItIsAskedToStop) {
  Setting setting;
  const Examples train = texts(50, 1);
  int questions = 0;
  try {
    fit_linear(setting.context, kShape, setting.target, pointers_to(train), {}, nullptr, {.strength = 1},
               [&] { return ++questions == 3; });
    FAIL() << "fitted to the end";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCancelled);
  }
  EXPECT_EQ(questions, 3);
}

double accuracy_of_network(Setting& setting, SideNetwork& network, const Examples& examples) {
  Tensor outputs = Tensor::zeros({static_cast<std::int64_t>(examples.size()), 3});
  add_side_outputs(setting.context, network, pointers_to(examples), outputs);
  double right = 0;
  for (std::size_t row = 0; row < examples.size(); ++row) {
    const float* said = outputs.data<float>() + row * 3;
    right += std::max_element(said, said + 3) - said == examples[row].label ? 1 : 0;
  }
  return right / static_cast<double>(examples.size());
}

TEST(LinearFit, BecomesAPartOfTheNetworkBesideTheBase) {
  Setting setting;
  const Examples train = texts(400, 1), unseen = texts(300, 3);
  const auto all = pointers_to(train);
  const SideChoice linear_alone{.network_share = 0.5, .network_factor = 0, .linear_strength = 10, .linear_factor = 1.5};
  const SideChoice choice = side_choice_from_json(to_json(linear_alone));
  EXPECT_EQ(to_json(choice), to_json(linear_alone));
  kernels::Random random(3);
  SideNetwork network(kShape, random);
  SideTrees trees;
  refit_side(setting.context, network, trees, {.target = setting.target, .train = all, .validation = {}}, choice, {});
  const LinearFit fit = fit_linear(setting.context, kShape, setting.target, all, {}, nullptr, {.strength = 10}, {});
  const auto few = ExamplePointers(all.begin(), all.begin() + 5);
  Tensor by_network = Tensor::zeros({5, 3}), by_itself({5, 3});
  add_side_outputs(setting.context, network, few, by_network);
  linear_outputs(setting.context, fit.linear, few, by_itself);
  for (std::int64_t i = 0; i < by_itself.count(); ++i)
    EXPECT_NEAR(by_network.data<float>()[i], 1.5f * by_itself.data<float>()[i], 1e-4f) << i;
  EXPECT_GE(accuracy_of_network(setting, network, unseen), 0.9);
}

// Labels that are often wrong make the network's steps overshoot; whatever is chosen, it is no worse than the network
// by itself, and made again from the choice it is as good.
TEST(LinearFit, MixedByTheValidationPartIsNoWorseThanTheNetworkAlone) {
  Setting setting;
  const Examples train = texts(300, 1, 0.4), validation = texts(400, 2, 0.4), unseen = texts(500, 3);
  const auto all = pointers_to(train), seen = pointers_to(validation);
  kernels::Random random(3), same(3), other(4);
  SideNetwork network(kShape, random), alone(kShape, same), fresh(kShape, other);
  SideTrees trees;
  const SideChoice choice =
      fit_side(setting.context, network, trees, {.target = setting.target, .train = all, .validation = seen}, {});
  fit_side_network(setting.context, alone, setting.target, all, seen, nullptr, {}, {});
  const double mixed = accuracy_of_network(setting, network, unseen);
  EXPECT_GE(mixed, accuracy_of_network(setting, alone, unseen) - 0.01);
  refit_side(setting.context, fresh, trees, {.target = setting.target, .train = all, .validation = {}}, choice, {});
  EXPECT_GE(accuracy_of_network(setting, fresh, unseen), mixed - 0.05);
}

}  // namespace
}  // namespace finetune
