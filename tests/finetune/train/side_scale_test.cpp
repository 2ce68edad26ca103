#include "finetune/train/side_scale.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/core/random.h"

namespace finetune {
namespace {

using kernels::Tensor;

// Outputs of a model, and what they are held against.
struct Answered {
  HeadTarget target;
  std::vector<EncodedExample> examples;
  std::vector<float> outputs;

  double succession() const {
    ExamplePointers all;
    for (const EncodedExample& example : examples) all.push_back(&example);
    const auto rows = static_cast<std::int64_t>(examples.size());
    return succession_factor(target, all, Tensor::from(outputs, {rows, output_count(target)}));
  }
  std::vector<float> answer(std::size_t i, double factor) const {
    const auto width = static_cast<std::size_t>(output_count(target));
    std::vector<float> row(outputs.begin() + static_cast<std::ptrdiff_t>(i * width),
                           outputs.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
    for (float& each : row) each *= static_cast<float>(factor);
    const std::vector<double> answer = head_answer(target, examples[i], row);
    return {answer.begin(), answer.end()};
  }
  // Means over the examples, as a report has them.
  double accuracy(double factor) const {
    double right = 0;
    for (std::size_t i = 0; i < examples.size(); ++i)
      right += chosen_label(target.task, answer(i, factor)) == examples[i].label ? 1 : 0;
    return right / static_cast<double>(examples.size());
  }
  double loss(double factor) const {
    double sum = 0;
    for (std::size_t i = 0; i < examples.size(); ++i)
      sum -= std::log(
          std::max(1e-12, static_cast<double>(answer(i, factor)[static_cast<std::size_t>(examples[i].label)])));
    return sum / static_cast<double>(examples.size());
  }
};

// Labels in order with borders at even distances from -2 to 2, of a model that puts each border a bit too high and is
// as sure as `slope`.
Answered ordered(std::int32_t labels, int count, double slope, std::uint64_t seed) {
  kernels::Random random(seed);
  Answered made{.target = {.task = Task::kOrdinal, .labels = labels}, .examples = {}, .outputs = {}};
  for (int i = 0; i < count; ++i) {
    const double place = 6 * random.uniform() - 3;
    EncodedExample& example = made.examples.emplace_back();
    example.label = 0;
    for (std::int32_t k = 0; k + 1 < labels; ++k) {
      const double border = labels == 2 ? 0 : -2 + 4.0 * k / (labels - 2);
      if (place > border) example.label = k + 1;
      made.outputs.push_back(static_cast<float>(slope * (place - border - 0.03)));
    }
  }
  return made;
}

TEST(SideScale, WhatIsToldApartLeavesToTheRestWhatLaplacesRuleDoes) {
  Answered classes{.target = {.task = Task::kClassify, .labels = 3}, .examples = {}, .outputs = {}};
  Answered marks{.target = {.task = Task::kMultilabel, .labels = 2}, .examples = {}, .outputs = {}};
  for (int i = 0; i < 20; ++i) {
    classes.examples.emplace_back().label = i % 3;
    for (int k = 0; k < 3; ++k) classes.outputs.push_back(i % 3 == k ? 40.0f : -3.0f * static_cast<float>(i));
    marks.examples.emplace_back().marks = {i % 2 == 0 ? 1.0f : 0.0f, i % 3 == 0 ? 1.0f : 0.0f};
    for (const float mark : marks.examples.back().marks) marks.outputs.push_back(mark > 0 ? 30.0f : -70.0f);
  }
  const double of_classes = classes.succession(), of_marks = marks.succession();
  double doubt_of_classes = 0, doubt_of_marks = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    doubt_of_classes += 1 - static_cast<double>(classes.answer(i, of_classes).at(i % 3));
    const std::vector<float> answer = marks.answer(i, of_marks);
    for (std::size_t k = 0; k < 2; ++k)
      doubt_of_marks += static_cast<double>(std::fabs(marks.examples[i].marks[k] - answer[k])) / 2;
  }
  EXPECT_NEAR(doubt_of_classes / 20, 1.0 / 22, 1e-4);
  EXPECT_NEAR(doubt_of_marks / 20, 1.0 / 22, 1e-4);
  EXPECT_EQ(classes.accuracy(of_classes), 1);
}

TEST(SideScale, MoreExamplesWithoutAMistakeAllowMoreCertainty) {
  const auto surest = [](int count) {
    Answered answered{.target = {.task = Task::kClassify, .labels = 2}, .examples = {}, .outputs = {}};
    for (int i = 0; i < count; ++i) {
      answered.examples.emplace_back().label = 1;
      answered.outputs.insert(answered.outputs.end(), {-50, 50});
    }
    return static_cast<double>(answered.answer(0, answered.succession()).at(1));
  };
  EXPECT_NEAR(surest(10), 1 - 1.0 / 12, 1e-4);
  EXPECT_NEAR(surest(1000), 1 - 1.0 / 1002, 1e-5);
}

// Of a model that is far too sure of the validation part that it tells apart.
TEST(SideScale, FreshExamplesLoseLessByTheBoundAndAreToldAsWell) {
  for (const auto& [labels, count] : {std::pair{2, 200}, std::pair{8, 20}}) {
    const Answered fresh = ordered(labels, 10000, 300, 1000);
    double with = 0, without = 0, right = 0, right_without = 0, sets = 0;
    for (std::uint64_t set = 0; set < 100 && sets < 10; ++set) {
      const Answered answered = ordered(labels, count, 300, set);
      if (answered.accuracy(1) < 1) continue;
      const double factor = answered.succession();
      EXPECT_LT(factor, 1);
      with += fresh.loss(factor);
      without += fresh.loss(1);
      right += fresh.accuracy(factor);
      right_without += fresh.accuracy(1);
      ++sets;
    }
    ASSERT_GE(sets, 3) << labels;
    EXPECT_LT(with, 0.7 * without) << labels;
    EXPECT_GE(right / sets, right_without / sets - 0.002) << labels;
  }
}

TEST(SideScale, WhereAnExampleIsToldWrongOrDoubtIsLeftNothingIsBounded) {
  Answered wrong = ordered(3, 40, 300, 4);
  wrong.examples[0].label = wrong.examples[0].label == 0 ? 2 : 0;
  EXPECT_EQ(wrong.succession(), 1);
  Answered unsure{.target = {.task = Task::kClassify, .labels = 2}, .examples = {}, .outputs = {}};
  for (int i = 0; i < 50; ++i) {
    unsure.examples.emplace_back().label = 0;
    unsure.outputs.insert(unsure.outputs.end(), {1, 0});
  }
  EXPECT_EQ(unsure.succession(), 1);
  EXPECT_EQ(
      (Answered{.target = {.task = Task::kRegress}, .examples = std::vector<EncodedExample>(2), .outputs = {5, 7}})
          .succession(),
      1);
  EXPECT_EQ((Answered{.target = {.task = Task::kClassify, .labels = 2},
                      .examples = std::vector<EncodedExample>(1),
                      .outputs = {5, 7}})
                .succession(),
            1)
      << "a label that nobody knows";
}

}  // namespace
}  // namespace finetune
