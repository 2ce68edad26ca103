#include "finetune/evaluate/number_metrics.h"

#include <gtest/gtest.h>

#include <vector>

namespace finetune {
namespace {

using Numbers = std::vector<double>;

TEST(NumberMetrics, CoverageIsTheShareOfTruthsBetweenTheBordersWhichCount) {
  const Numbers truth{1, 2, 3, 4}, low{1, 3, 0, 0}, high{2, 4, 3, 3.5};
  EXPECT_DOUBLE_EQ(coverage(truth, low, high), 0.5) << "1 and 3 lie on a border, 2 below, 4 above";
  EXPECT_DOUBLE_EQ(coverage(Numbers{}, Numbers{}, Numbers{}), 0);
}

TEST(NumberMetrics, PinballLossCostsWhatLiesAboveByTheQuantileAndWhatLiesBelowByTheRest) {
  // 0.9 of 2 that are missing, 0.1 of 3 that are too many.
  EXPECT_DOUBLE_EQ(pinball_loss(Numbers{5, 1}, Numbers{3, 4}, 0.9), (0.9 * 2 + 0.1 * 3) / 2);
}

TEST(NumberMetrics, ErrorsOfNumbersFarFromZeroAreThoseOfTheirDifferences) {
  const Numbers truth{1700000099.12, 1700000100.5}, predicted{1700000099.0, 1700000100.75};
  EXPECT_NEAR(mean_absolute_error(truth, predicted), (0.12 + 0.25) / 2, 1e-6);
}

}  // namespace
}  // namespace finetune
