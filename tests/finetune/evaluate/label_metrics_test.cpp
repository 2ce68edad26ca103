#include "finetune/evaluate/label_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace finetune {
namespace {

TEST(LabelMetrics, FollowTheirDefinitions) {
  const std::vector<float> marks[] = {{1, 0, 1}, {0, 1, 0}, {1, 1, 0}};
  const std::vector<float> chances[] = {{0.9f, 0.2f, 0.4f}, {0.1f, 0.5f, 0.3f}, {0.6f, 0.1f, 0.8f}};
  std::vector<MarkedLabels> examples;
  for (std::size_t i = 0; i < 3; ++i) examples.push_back({marks[i], chances[i]});
  // Label by label: hits 2, 1, 0; claimed 2, 1, 1; true 2, 2, 1.
  EXPECT_NEAR(label_macro_f1(examples), (1.0 + 2.0 / 3.0 + 0) / 3, 1e-9);
  EXPECT_NEAR(label_micro_f1(examples), 2.0 * 3 / (4 + 5), 1e-9);
  EXPECT_NEAR(subset_accuracy(examples), 1.0 / 3, 1e-9);
  const double sum = -(std::log(0.9) + std::log(0.8) + std::log(0.4) + std::log(0.9) + std::log(0.5) + std::log(0.7) +
                       std::log(0.6) + std::log(0.1) + std::log(0.2));
  EXPECT_NEAR(label_loss(examples), sum / 9, 1e-6);
}

TEST(LabelMetrics, CountLabelsThatTrainingNeverSawAsMisses) {
  const std::vector<float> marks{1, 0}, chances{0.9f, 0.1f};
  EXPECT_EQ(subset_accuracy({{marks, chances}}), 1);
  EXPECT_EQ(subset_accuracy({{marks, chances, 1}}), 0);
  EXPECT_NEAR(label_micro_f1({{marks, chances, 1}}), 2.0 / 3, 1e-9);
}

TEST(LabelMetrics, AreZeroOverNothing) {
  EXPECT_EQ(label_macro_f1({}), 0);
  EXPECT_EQ(label_micro_f1({}), 0);
  EXPECT_EQ(subset_accuracy({}), 0);
  EXPECT_EQ(label_loss({}), 0);
}

}  // namespace
}  // namespace finetune
