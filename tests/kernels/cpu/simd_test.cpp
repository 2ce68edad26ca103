#include "kernels/cpu/simd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/cpu/operations.h"
#include "kernels/cpu/reference.h"
#include "tests/support/op_case.h"

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

TEST(TileProduct, EqualsTheDefinitionForEveryRowCountAndBothStrides) {
  for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 48, 53}) {
    const std::int64_t n = 48, k = 19;
    const Tensor a = test_support::random_tensor({m, k}, 1), b = test_support::random_tensor({k, n}, 2);
    Tensor transposed({k, m});
    for (std::int64_t i = 0; i < m * k; ++i) transposed.data<float>()[i % k * m + i / k] = a.data<float>()[i];
    Tensor c = test_support::random_tensor({m, n}, 3), expected = c.clone();
    reference::gemm(false, false, m, n, k, 1.0f, a.data<float>(), k, b.data<float>(), n, 1.0f, expected.data<float>(),
                    n);
    Tensor other = c.clone();
    tile_product({m, n, k, a.data<float>(), k, 1, b.data<float>(), n, c.data<float>(), n, true});
    tile_product({m, n, k, transposed.data<float>(), 1, m, b.data<float>(), n, other.data<float>(), n, true});
    test_support::expect_close(test_support::to_doubles(c), test_support::to_doubles(expected), 1e-5, "rows");
    test_support::expect_close(test_support::to_doubles(other), test_support::to_doubles(expected), 1e-5, "columns");
    tile_product({m, n, k, a.data<float>(), k, 1, b.data<float>(), n, c.data<float>(), n, false});
    reference::gemm(false, false, m, n, k, 1.0f, a.data<float>(), k, b.data<float>(), n, 0.0f, expected.data<float>(),
                    n);
    test_support::expect_close(test_support::to_doubles(c), test_support::to_doubles(expected), 1e-5, "overwritten");
  }
}

}  // namespace
}  // namespace kernels::cpu
