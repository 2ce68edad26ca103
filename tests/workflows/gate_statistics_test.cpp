#include "workflows/gate_statistics.h"

#include <gtest/gtest.h>

#include <numeric>

#include "platform/base/error.h"

namespace workflows {
namespace {

std::vector<std::size_t> all(std::size_t n) {
  std::vector<std::size_t> indices(n);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  return indices;
}

const Yardstick kAccuracy{"accuracy"};

const char* kLines = R"({"id":"1","truth":"a","prediction":"a","probabilities":{"a":0.9,"b":0.1}}
{"id":"2","truth":"a","prediction":"b","probabilities":{"a":0.4,"b":0.6}}
{"id":"3","truth":"b","prediction":"b","probabilities":{"a":0.3,"b":0.7}}
{"id":"4","truth":"a","prediction":"a","probabilities":{"a":0.8,"b":0.2}}
)";

TEST(GateStatistics, MetricsOfAHandCountedTable) {
  const auto rows = read_predictions(kLines);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_DOUBLE_EQ(*metric_of("accuracy", rows, all(4)), 0.75);
  // a: 2 hits, 1 miss -> 4/5; b: 1 hit, 1 false alarm -> 2/3
  EXPECT_NEAR(*metric_of("macro_f1", rows, all(4)), (0.8 + 2.0 / 3) / 2, 1e-12);
  EXPECT_DOUBLE_EQ(*metric_of("average_precision", rows, all(4)), 1.0);
  EXPECT_FALSE(metric_of("qwk", rows, all(4)));
}

TEST(GateStatistics, RanksAndCalibrationAreThoseOfTheEvaluation) {
  const auto rows = read_predictions(kLines);
  EXPECT_DOUBLE_EQ(*metric_of("auroc", rows, all(4)), 1.0);
  EXPECT_DOUBLE_EQ(*metric_of("auroc", rows, std::vector<std::size_t>{0, 1}), 0.5) << "there is no b";
  // Each row is a bin of its own; of b: |0.1 - 0|, |0.6 - 0|, |0.7 - 1|, |0.2 - 0|.
  EXPECT_NEAR(*metric_of("calibration_error", rows, all(4)), (0.1 + 0.6 + 0.3 + 0.2) / 4, 1e-12);
  const auto three =
      read_predictions(R"({"id":"1","truth":"a","prediction":"a","probabilities":{"a":0.6,"b":0.3,"c":0.1}}
{"id":"2","truth":"c","prediction":"b","probabilities":{"a":0.05,"b":0.9,"c":0.05}}
)");
  EXPECT_NEAR(*metric_of("calibration_error", three, all(2)), (0.4 + 0.9) / 2, 1e-12);
  EXPECT_TRUE(comparable("auroc") && comparable("calibration_error"));
  EXPECT_FALSE(comparable("label_loss")) << "an answer of several labels is one line with several values";
  // Less is better: a model without a flaw against a fixed error.
  const auto sure = read_predictions(R"({"id":"1","truth":"a","prediction":"a","probabilities":{"a":1,"b":0}})");
  EXPECT_EQ(compare_with_score({"calibration_error", false}, sure, 0.2).share, 1.0);
}

TEST(GateStatistics, ScoresOfAnswersAreMeansOverThoseThatWereAsked) {
  const char* first = R"({"id":"1","loss":2.5,"tokens":3,"truth":"hot","prediction":"hot","scores":{"rouge_l":1}}
{"id":"2","loss":2.5,"tokens":3}
{"id":"3","loss":2.5,"tokens":3,"truth":"cold bearing","prediction":"bearing","scores":{"rouge_l":0.5}}
)";
  const char* second = R"({"id":"1","loss":1,"tokens":3,"truth":"hot","prediction":"","scores":{"rouge_l":0}}
{"id":"2","loss":1,"tokens":3}
{"id":"3","loss":1,"tokens":3,"truth":"cold bearing","prediction":"it","scores":{"rouge_l":0}}
)";
  EXPECT_TRUE(comparable("rouge_l"));
  const auto rows = read_predictions(first), others = read_predictions(second);
  EXPECT_DOUBLE_EQ(*metric_of("rouge_l", rows, all(3)), 0.75);
  EXPECT_FALSE(metric_of("rouge_l", rows, std::vector<std::size_t>{1}));
  EXPECT_FALSE(metric_of("chrf", rows, all(3)));
  EXPECT_DOUBLE_EQ(
      compare_with_score({"rouge_l"}, read_predictions(R"({"id":"1","loss":1,"scores":{"rouge_l":0.5}})"), 0.25).share,
      1.0);
  EXPECT_DOUBLE_EQ(compare_paired({"rouge_l"}, rows, others).difference, 0.75);
}

TEST(GateStatistics, ATextThatHasItsLossAloneCountsInNoComparison) {
  // A language model that chose among answers: right, wrong, and a text that wants no answer.
  const auto rows = read_predictions(R"({"id":"1","loss":1,"truth":"hot","prediction":"hot"}
{"id":"2","loss":1,"truth":"hot","prediction":"cold"}
{"id":"3","loss":1,"tokens":3}
)");
  EXPECT_DOUBLE_EQ(compare_with_score({"accuracy"}, rows, 0.25).difference, 0.25);
  EXPECT_DOUBLE_EQ(compare_paired({"accuracy"}, rows, rows).difference, 0);
}

TEST(GateStatistics, AClassThatIsOnlyPredictedCountsInMacroF1) {
  const auto rows = read_predictions(R"({"id":"1","truth":"a","prediction":"a","probabilities":{"a":1,"c":0}}
{"id":"2","truth":"a","prediction":"c","probabilities":{"a":0,"c":1}}
)");
  EXPECT_NEAR(*metric_of("macro_f1", rows, all(2)), (2.0 / 3 + 0) / 2, 1e-12);
}

TEST(GateStatistics, ThePositiveClassThatIsNamedCountsNotTheRarerOne) {
  const auto rows = read_predictions(kLines);
  const Comparison rarer = compare_with_score({"average_precision"}, rows, 0.9);
  const Comparison named = compare_with_score({"average_precision", true, "a"}, rows, 0.9);
  EXPECT_NEAR(rarer.difference, 0.1, 1e-12) << "b, the rarer one, is ranked without a flaw";
  EXPECT_NEAR(named.difference, *metric_of("average_precision", rows, all(4), "a") - 0.9, 1e-12);
}

TEST(GateStatistics, ErrorsOfNumbers) {
  const auto rows = read_predictions(
      "{\"id\":\"1\",\"truth\":1.0,\"prediction\":4}\n{\"id\":\"2\",\"truth\":2,\"prediction\":-2.0}\n");
  EXPECT_DOUBLE_EQ(*metric_of("mae", rows, all(2)), 3.5);
  EXPECT_DOUBLE_EQ(*metric_of("rmse", rows, all(2)), std::sqrt(12.5));
}

std::vector<PredictedExample> model(std::size_t n, std::size_t wrong_every) {
  std::vector<PredictedExample> rows(n);
  for (std::size_t i = 0; i < n; ++i) {
    rows[i].id = std::to_string(i);
    rows[i].truth = i % 2 == 0 ? "a" : "b";
    rows[i].prediction = i % wrong_every == 0 ? (i % 2 == 0 ? "b" : "a") : rows[i].truth;
  }
  return rows;
}

TEST(GateStatistics, AClearlyBetterModelWinsNearlyEveryResample) {
  const auto good = model(400, 20), poor = model(400, 4);
  const Comparison comparison = compare_paired(kAccuracy, good, poor);
  EXPECT_GT(comparison.share, 0.99);
  EXPECT_NEAR(comparison.difference, 0.20, 1e-9);
  EXPECT_LT(compare_paired(kAccuracy, poor, good).share, 0.01);
  EXPECT_EQ(compare_paired(kAccuracy, good, poor).share, comparison.share) << "the same seed gives the same share";
}

TEST(GateStatistics, EqualModelsAreAToss) {
  const auto one = model(300, 5);
  EXPECT_DOUBLE_EQ(compare_paired({"macro_f1", true, "", 7}, one, one).share, 0.5);
  EXPECT_GT(compare_with_score({"accuracy", true, "", 7}, one, 0.5).share, 0.99);
}

TEST(GateStatistics, ModelsScoredOnDifferentExamplesAreNotCompared) {
  auto one = model(10, 5), other = model(10, 5);
  other[3].id = "x";
  EXPECT_THROW(compare_paired(kAccuracy, one, other), platform::Error);
}

}  // namespace
}  // namespace workflows
