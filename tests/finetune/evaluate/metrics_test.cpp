#include "finetune/evaluate/metrics.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

Outcome of_class(std::int32_t truth, std::int32_t prediction, std::vector<float> probabilities = {}) {
  Outcome outcome;
  outcome.truth = truth;
  outcome.prediction = prediction;
  outcome.probabilities = std::move(probabilities);
  return outcome;
}

TEST(Metrics, MacroF1AveragesTheClassesThatAreThere) {
  const std::vector<Outcome> outcomes{of_class(0, 0), of_class(0, 1), of_class(1, 1), of_class(1, 1)};
  EXPECT_NEAR(score("accuracy", outcomes, {"a", "b", "c"}, 0), 0.75, 1e-12);
  EXPECT_NEAR(score("macro_f1", outcomes, {"a", "b", "c"}, 0), (2.0 / 3 + 0.8) / 2, 1e-12);
}

TEST(Metrics, AveragePrecisionSumsPrecisionOverRecall) {
  const std::vector<Outcome> outcomes{of_class(1, 1, {0.1f, 0.9f}), of_class(0, 1, {0.2f, 0.8f}),
                                      of_class(1, 0, {0.6f, 0.4f})};
  EXPECT_NEAR(score("average_precision", outcomes, {"no", "yes"}, 1), 0.5 * 1 + 0.5 * 2.0 / 3, 1e-12);
}

TEST(Metrics, OfPairsAreMeansAndAPairWithoutAMarginIsNoSuccess) {
  std::vector<Outcome> outcomes(4);
  const double margins[] = {0.5, -0.25, 0.0, 0.75};
  for (std::size_t i = 0; i < 4; ++i) outcomes[i].preference = Preference{0.1 * static_cast<double>(i), margins[i]};
  EXPECT_NEAR(score("reward_accuracy", outcomes, {}, 0), 0.5, 1e-12);
  EXPECT_NEAR(score("reward_margin", outcomes, {}, 0), 0.25, 1e-12);
  EXPECT_NEAR(score("loss", outcomes, {}, 0), 0.15, 1e-12);
  EXPECT_TRUE(higher_is_better("reward_accuracy"));
}

TEST(Metrics, ThePositiveClassIsTheProfilesElseTheRarest) {
  const std::vector<std::string> labels{"no", "yes"};
  const std::vector<std::int32_t> truths{1, 0, 1, -1, 1};
  EXPECT_EQ(positive_class(nullptr, labels, truths), 0u);
  EXPECT_EQ(positive_class(platform::json::object{{"target", {{"positive", "yes"}}}}, labels, truths), 1u);
  EXPECT_EQ(positive_class(platform::json::object{{"target", {{"positive", "else"}}}}, labels, truths), 0u);
}

TEST(Metrics, QuadraticKappaIsOneForAgreementAndFallsWithDistance) {
  const std::vector<std::string> labels{"1", "2", "3"};
  const std::vector<Outcome> right{of_class(0, 0), of_class(1, 1), of_class(2, 2)};
  const std::vector<Outcome> near{of_class(0, 0), of_class(1, 1), of_class(2, 1)};
  const std::vector<Outcome> far{of_class(0, 0), of_class(1, 1), of_class(2, 0)};
  EXPECT_EQ(score("qwk", right, labels, 0), 1);
  EXPECT_GT(score("qwk", near, labels, 0), score("qwk", far, labels, 0));
}

TEST(Metrics, AnIntervalHoldsItsValueAndIsTheSameForTheSameSeed) {
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 60; ++i) outcomes.push_back(of_class(i % 2, i % 3 == 0 ? 0 : i % 2));
  const Score first = score_with_interval("accuracy", outcomes, {"a", "b"}, 0, 0.95, 4);
  const Score again = score_with_interval("accuracy", outcomes, {"a", "b"}, 0, 0.95, 4);
  EXPECT_LE(first.low, first.value);
  EXPECT_GE(first.high, first.value);
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
}

}  // namespace
}  // namespace finetune
