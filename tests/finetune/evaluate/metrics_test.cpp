#include "finetune/evaluate/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

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

Outcome of_quantiles(double truth, std::vector<double> predicted) {
  Outcome outcome;
  outcome.true_value = truth;
  outcome.predicted_value = predicted.at(1);
  outcome.predicted_values = std::move(predicted);
  outcome.quantiles = {0.1, 0.5, 0.9};
  return outcome;
}

TEST(Metrics, OfQuantilesAreTheMeanPinballLossAndTheShareBetweenTheOuterOnes) {
  const std::vector<Outcome> outcomes{of_quantiles(5, {3, 4, 6}), of_quantiles(9, {3, 4, 6})};
  const double low = (0.1 * 2 + 0.1 * 6) / 2, middle = (0.5 * 1 + 0.5 * 5) / 2, high = (0.1 * 1 + 0.9 * 3) / 2;
  EXPECT_NEAR(score("pinball_loss", outcomes, {}, 0), (low + middle + high) / 3, 1e-12);
  EXPECT_NEAR(score("coverage", outcomes, {}, 0), 0.5, 1e-12);
  EXPECT_FALSE(higher_is_better("pinball_loss"));
  EXPECT_TRUE(is_defined("coverage", outcomes, {}, 0));
  EXPECT_FALSE(is_defined("coverage", std::vector<Outcome>(2), {}, 0)) << "values without quantiles";
}

TEST(Metrics, SayWhetherTheOutcomesTellAnythingOfThem) {
  const std::vector<std::string> labels{"no", "yes"};
  const std::vector<Outcome> one_class{of_class(0, 0, {0.9f, 0.1f}), of_class(0, 1, {0.4f, 0.6f})};
  std::vector<Outcome> both = one_class, unknown{of_class(-1, 0, {0.9f, 0.1f})};
  both.push_back(of_class(1, 1, {0.1f, 0.9f}));
  for (const char* metric : {"auroc", "average_precision"}) {
    for (const std::size_t positive : {0u, 1u}) {
      EXPECT_FALSE(is_defined(metric, one_class, labels, positive)) << metric;
      EXPECT_TRUE(is_defined(metric, both, labels, positive)) << metric;
    }
  }
  EXPECT_TRUE(is_defined("loss", one_class, labels, 1));
  EXPECT_FALSE(is_defined("loss", unknown, labels, 1)) << "no truth has a probability";
  EXPECT_TRUE(is_defined("accuracy", unknown, labels, 1)) << "it is a miss";
  Outcome without_tokens, without_numbers;
  without_tokens.weight = 0;
  without_numbers.true_values = {std::nan("")};
  EXPECT_FALSE(is_defined("perplexity", std::vector{without_tokens}, {}, 0));
  EXPECT_FALSE(is_defined("rmse", std::vector{without_numbers}, {}, 0));
}

TEST(Metrics, ResamplesThatSayNothingOfAMetricAreNoPartOfItsInterval) {
  std::vector<Outcome> outcomes(30, of_class(0, 0, {0.9f, 0.1f}));
  outcomes[0] = of_class(1, 1, {0.1f, 0.9f});  // a third of the resamples is without it
  const Score score = score_with_interval("auroc", outcomes, {"no", "yes"}, 1, 0.95, 4);
  EXPECT_EQ(score.value, 1);
  EXPECT_EQ(score.low, 1);
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
