#include "finetune/adapter/head_loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace finetune {
namespace {

using Row = std::vector<float>;
using Answer = std::vector<double>;

EncodedExample labelled(std::int32_t label) {
  EncodedExample example;
  example.label = label;
  return example;
}

TEST(HeadLoss, HasOneOutputForEachThingThatIsTold) {
  EXPECT_EQ(output_count({.task = Task::kClassify, .labels = 4}), 4);
  EXPECT_EQ(output_count({.task = Task::kOrdinal, .labels = 4}), 3);
  EXPECT_EQ(output_count({.task = Task::kMultilabel, .labels = 4}), 4);
  EXPECT_EQ(output_count({.task = Task::kRegress}), 1);
  EXPECT_EQ(output_count({.task = Task::kRegress, .form = {.quantiles = {0.1, 0.9}}}), 2);
  EXPECT_EQ(output_count({.task = Task::kForecast, .form = {.horizon = 5}}), 5);
}

TEST(HeadLoss, RanksAreDifferencesOfTheChancesToBeBeyondAndNeverNegative) {
  const HeadTarget target{.task = Task::kOrdinal, .labels = 4};
  const auto logit = [](double p) { return static_cast<float>(std::log(p / (1 - p))); };
  const Row row{logit(0.9), logit(0.5), logit(0.7)};  // the third contradicts the second
  const Answer ranks = head_answer(target, labelled(0), row);
  ASSERT_EQ(ranks.size(), 4U);
  EXPECT_NEAR(ranks[0], 0.1, 1e-6);
  EXPECT_NEAR(ranks[1], 0.4, 1e-6);
  EXPECT_NEAR(ranks[2], 0, 1e-6);
  EXPECT_NEAR(ranks[3], 0.5, 1e-6);
  const Row shares(ranks.begin(), ranks.end());
  EXPECT_EQ(chosen_label(Task::kOrdinal, shares), 2) << "the mean rank is 1.9";
  EXPECT_EQ(chosen_label(Task::kClassify, shares), 3);
}

TEST(HeadLoss, OfRanksIsThatOfEveryBorderBetweenThem) {
  kernels::Context context = kernels::Context::cpu(1);
  const HeadTarget target{.task = Task::kOrdinal, .labels = 3};
  const EncodedExample middle = labelled(1), unknown = labelled(-1);
  const std::vector<const EncodedExample*> batch{&middle, &unknown};
  const kernels::Tensor output = kernels::Tensor::from<float>({0.3f, -0.8f, 5, 5}, {2, 2});
  const kernels::LossSum sum = head_loss(context, target, batch, output, nullptr, 1.0f, nullptr);
  EXPECT_NEAR(sum.loss, std::log(1 + std::exp(-0.3)) + std::log(1 + std::exp(-0.8)), 1e-6);
  EXPECT_EQ(sum.weight, 2);
}

TEST(HeadLoss, OfAForecastCountsTheStepsThatAreKnownFromTheLevel) {
  kernels::Context context = kernels::Context::cpu(1);
  const HeadTarget target{.task = Task::kForecast, .mean = 1, .deviation = 2, .form = {.horizon = 2}};
  EncodedExample example;
  example.level = 10;
  example.values = {15, NAN};
  example.weight = 0.5f;
  EXPECT_EQ(loss_weight(target, example, nullptr), 0.5);
  const EncodedExample* batch[] = {&example};
  const kernels::Tensor output = kernels::Tensor::from<float>({1.5f, 9}, {1, 2});
  // (15 - 10 - 1) / 2 = 2 is wanted.
  EXPECT_NEAR(head_loss(context, target, batch, output, nullptr, 1.0f, nullptr).loss, 0.5 * 0.5 * 0.25, 1e-6);
  EXPECT_EQ(head_answer(target, example, Row{2, 0}), (Answer{15, 11}));
}

// Against the slope of the gradient that training uses, a small step to either side.
TEST(HeadLoss, CurvesAsItsGradientChanges) {
  kernels::Context context = kernels::Context::cpu(1);
  EncodedExample first, second;
  first.label = 1;
  first.marks = {1, 0, NAN};
  first.value = 0.4;
  first.values = {1, NAN, 3};
  first.weight = 0.5f;
  second.label = -1;
  second.marks = {0, 1, 1};
  second.value = -1;
  second.values = {2, 2, 2};
  const std::vector<const EncodedExample*> batch{&first, &second};
  const kernels::Tensor class_weights = kernels::Tensor::from<float>({1, 3, 2});
  for (const Task task : {Task::kClassify, Task::kOrdinal, Task::kMultilabel, Task::kRegress, Task::kForecast}) {
    const HeadTarget target{.task = task, .labels = 3, .form = {.horizon = 3}};
    const kernels::Tensor* weights = task == Task::kClassify ? &class_weights : nullptr;
    kernels::Tensor output({2, output_count(target)});
    for (std::int64_t i = 0; i < output.count(); ++i) output.data<float>()[i] = std::sin(static_cast<float>(i));
    const kernels::Tensor curvature = head_curvature(target, batch, output, weights);
    const auto slope_at = [&](std::int64_t i, float moved) {
      kernels::Tensor there = output.clone(), slopes(output.shape());
      there.data<float>()[i] += moved;
      head_loss(context, target, batch, there, weights, 1.0f, &slopes);
      return static_cast<double>(slopes.data<float>()[i]);
    };
    for (std::int64_t i = 0; i < output.count(); ++i)
      EXPECT_NEAR(curvature.data<float>()[i], (slope_at(i, 0.01f) - slope_at(i, -0.01f)) / 0.02, 1e-4)
          << to_string(task) << " " << i;
  }
}

TEST(HeadLoss, CurvesByTheWeightWhereItIsMadeOfStraightPieces) {
  EncodedExample example;
  example.weight = 0.5f;
  example.value = 1;
  const EncodedExample* batch[] = {&example};
  const HeadTarget target{.task = Task::kRegress, .form = {.quantiles = {0.1, 0.5, 0.9}}};
  const kernels::Tensor output = kernels::Tensor::zeros({1, 3});
  const kernels::Tensor curvature = head_curvature(target, batch, output, nullptr);
  for (const float each : curvature.values<float>()) EXPECT_EQ(each, 0.5f);
}

TEST(HeadLoss, PutsQuantilesThatCrossInOrder) {
  const HeadTarget target{.task = Task::kRegress, .mean = 0, .deviation = 1, .form = {.quantiles = {0.1, 0.5, 0.9}}};
  EXPECT_EQ(head_answer(target, {}, Row{2, 1, 3}), (Answer{1, 2, 3}));
}

// Seconds since 1970: a float holds them to two minutes.
TEST(HeadLoss, ValuesFarFromZeroAreLearntAndToldToTheirLastDigit) {
  kernels::Context context = kernels::Context::cpu(1);
  EncodedExample example;
  example.value = 1700000099.12;
  const HeadTarget target{.task = Task::kRegress, .mean = 1700000096, .deviation = 2};
  EXPECT_DOUBLE_EQ(head_answer(target, example, Row{1.5625f}).front(), 1700000099.125);
  const EncodedExample* batch[] = {&example};
  const kernels::Tensor output = kernels::Tensor::from<float>({0}, {1, 1});
  EXPECT_NEAR(head_loss(context, target, batch, output, nullptr, 1.0f, nullptr).loss, 0.5 * 1.56 * 1.56, 1e-5);
}

TEST(HeadLoss, TakesHubersWhereItIsAskedFor) {
  kernels::Context context = kernels::Context::cpu(1);
  HeadTarget target{.task = Task::kRegress};
  EncodedExample example;
  example.value = 0;
  const EncodedExample* batch[] = {&example};
  const kernels::Tensor output = kernels::Tensor::from<float>({3}, {1, 1});
  EXPECT_NEAR(head_loss(context, target, batch, output, nullptr, 1.0f, nullptr).loss, 4.5, 1e-6);
  target.form.huber_delta = 1;
  EXPECT_NEAR(head_loss(context, target, batch, output, nullptr, 1.0f, nullptr).loss, 2.5, 1e-6);
}

}  // namespace
}  // namespace finetune
