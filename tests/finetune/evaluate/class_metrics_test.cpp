#include "finetune/evaluate/class_metrics.h"

#include <gtest/gtest.h>

#include "finetune/evaluate/number_metrics.h"

namespace finetune {
namespace {

Confusion table(std::vector<std::int32_t> truth, std::vector<std::int32_t> predicted) {
  return confusion_of(truth, predicted);
}

TEST(ClassMetrics, AClassThatIsOnlyPredictedCountsInMacroF1AndNotInBalancedAccuracy) {
  const Confusion confusion = table({0, 0, 1}, {0, 2, 1});
  EXPECT_EQ(confusion.classes, (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_NEAR(macro_f1(confusion), (2.0 / 3 + 1 + 0) / 3, 1e-12);
  EXPECT_NEAR(balanced_accuracy(confusion), 0.75, 1e-12);
}

TEST(ClassMetrics, AgreementByChanceAloneIsZero) {
  const Confusion chance = table({0, 0, 1, 1}, {0, 1, 0, 1});
  EXPECT_NEAR(cohen_kappa(chance), 0, 1e-12);
  EXPECT_NEAR(matthews(chance), 0, 1e-12);
  EXPECT_NEAR(quadratic_kappa(chance, std::vector<double>{1, 2}), 0, 1e-12);
}

TEST(ClassMetrics, OneClassAloneDividesByNothing) {
  const Confusion one = table({3, 3}, {3, 3});
  EXPECT_EQ(cohen_kappa(one), 1);
  EXPECT_EQ(matthews(one), 0);
  EXPECT_EQ(quadratic_kappa(one, std::vector<double>{3}), 1);
  const std::vector<Ranked> negatives{{0.2, false}, {0.7, false}};
  EXPECT_EQ(average_precision(negatives), 0);
  EXPECT_EQ(auroc(negatives), 0.5);
}

TEST(ClassMetrics, EqualScoresAreOneThreshold) {
  const std::vector<Ranked> ties{{0.5, true}, {0.5, false}, {0.5, true}, {0.5, false}};
  EXPECT_NEAR(average_precision(ties), 0.5, 1e-12);
  EXPECT_NEAR(auroc(ties), 0.5, 1e-12);
}

TEST(ClassMetrics, AProbabilityOnAnEdgeBelongsToTheBinAboveIt) {
  // 0.3 and 0.35 share a bin, 0.29 does not: |0.65 - 1| + |0.29 - 0|, over three examples.
  const std::vector<Ranked> ranked{{0.3, true}, {0.35, false}, {0.29, false}};
  EXPECT_NEAR(calibration_error(ranked), (0.35 + 0.29) / 3, 1e-12);
  EXPECT_NEAR(calibration_error(std::vector<Ranked>{{1.0, true}, {0.0, false}}), 0, 1e-12);
}

TEST(NumberMetrics, AConstantTruthIsExplainedOnlyByMeetingIt) {
  const std::vector<double> truth{2, 2}, met{2, 2}, missed{2, 3};
  EXPECT_EQ(explained_share(truth, met), 1);
  EXPECT_EQ(explained_share(truth, missed), 0);
  EXPECT_NEAR(median_absolute_error(truth, missed), 0.5, 1e-12);
}

TEST(NumberMetrics, AHighQuantileIsDearerToMissFromBelow) {
  const std::vector<double> truth{1}, below{0}, above{2};
  EXPECT_NEAR(pinball_loss(truth, below, 0.9), 0.9, 1e-12);
  EXPECT_NEAR(pinball_loss(truth, above, 0.9), 0.1, 1e-12);
}

}  // namespace
}  // namespace finetune
