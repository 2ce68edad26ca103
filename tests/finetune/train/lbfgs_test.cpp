#include "finetune/train/lbfgs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace finetune {
namespace {

TEST(Lbfgs, FindsTheLowestPointOfALongNarrowValley) {
  // sum of (k + 1)^2 (x_k - k)^2: the steepest direction is a thousand times as steep as the flattest.
  std::vector<float> point(32, 0.0f);
  int calls = 0;
  const double value = minimise(
      [&](std::span<const float> at, std::span<float> gradient) {
        ++calls;
        double sum = 0;
        for (std::size_t k = 0; k < at.size(); ++k) {
          const double steep = static_cast<double>((k + 1) * (k + 1)),
                       off = static_cast<double>(at[k]) - static_cast<double>(k);
          sum += steep * off * off;
          gradient[k] = static_cast<float>(2 * steep * off);
        }
        return sum;
      },
      point, {.iterations = 300, .tolerance = 1e-3});
  EXPECT_NEAR(value, 0, 1e-3);
  for (std::size_t k = 0; k < point.size(); ++k) EXPECT_NEAR(point[k], static_cast<float>(k), 1e-3f) << k;
  EXPECT_LT(calls, 200);
}

TEST(Lbfgs, EndsWhereLogisticRegressionHasItsOneLowestPoint) {
  // 3 of 4 heads, held back by x^2 / 8: sigmoid(x) - 3 / 4 + x / 4 = 0.
  std::vector<float> point{5.0f};
  minimise(
      [](std::span<const float> at, std::span<float> gradient) {
        const double x = static_cast<double>(at[0]), s = 1 / (1 + std::exp(-x));
        gradient[0] = static_cast<float>(s - 0.75 + x / 4);
        return -0.75 * std::log(s) - 0.25 * std::log(1 - s) + x * x / 8;
      },
      point, {.tolerance = 1e-6});
  const double x = static_cast<double>(point[0]);
  EXPECT_NEAR(1 / (1 + std::exp(-x)) - 0.75 + x / 4, 0, 1e-5);
}

TEST(Lbfgs, StaysWhereItIsAlreadyLowestAndLetsWhatIsThrownThrough) {
  std::vector<float> point{1.0f};
  int calls = 0;
  const auto flat = [&](std::span<const float>, std::span<float> gradient) {
    ++calls;
    gradient[0] = 0;
    return 7.0;
  };
  EXPECT_EQ(minimise(flat, point), 7.0);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(point[0], 1.0f);
  EXPECT_THROW(
      minimise([](std::span<const float>, std::span<float>) -> double { throw std::runtime_error("x"); }, point),
      std::runtime_error);
}

}  // namespace
}  // namespace finetune
