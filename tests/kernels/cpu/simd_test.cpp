#include "kernels/cpu/simd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kernels::cpu {
namespace {

TEST(FastExp, StaysWithinTwoUnitsInTheLastPlace) {
  double worst = 0.0;
  for (double x = -86.5; x < 88.7; x += 0.00137) {
    const float input = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(input));
    const float rounded = static_cast<float>(exact);
    const double unit = static_cast<double>(std::nextafter(rounded, std::numeric_limits<float>::infinity())) -
                        static_cast<double>(rounded);
    worst = std::max(worst, std::abs(static_cast<double>(fast_exp(input)) - exact) / unit);
  }
  EXPECT_LE(worst, 2.0);
}

TEST(FastExp, KeepsTheEdges) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(fast_exp(0.0f), 1.0f);
  EXPECT_EQ(fast_exp(-kInfinity), 0.0f);
  EXPECT_EQ(fast_exp(-100.0f), 0.0f);
  EXPECT_EQ(fast_exp(kInfinity), kInfinity);
  EXPECT_EQ(fast_exp(89.0f), kInfinity);
  EXPECT_TRUE(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace kernels::cpu
