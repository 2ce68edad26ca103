#include "finetune/model/singular_values.h"

#include <gtest/gtest.h>

#include <cmath>

namespace finetune {
namespace {

Matrix random_matrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  Matrix matrix(rows, columns);
  kernels::Random random(seed);
  for (double& value : matrix.values) value = random.normal();
  return matrix;
}

Matrix restored(const SingularValues& parts) {
  Matrix scaled = parts.left;
  for (std::int64_t j = 0; j < scaled.rows; ++j) {
    for (std::int64_t k = 0; k < scaled.columns; ++k) scaled.at(j, k) *= parts.values[static_cast<std::size_t>(k)];
  }
  return product(scaled, parts.right);
}

void expect_same(const Matrix& a, const Matrix& b, double allowed) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i) ASSERT_NEAR(a.values[i], b.values[i], allowed) << i;
}

void expect_orthonormal_rows(const Matrix& rows, double allowed) {
  const Matrix gram = product(rows, rows.transposed());
  for (std::int64_t p = 0; p < gram.rows; ++p) {
    for (std::int64_t q = 0; q < gram.columns; ++q) ASSERT_NEAR(gram.at(p, q), p == q ? 1.0 : 0.0, allowed);
  }
}

TEST(SingularValues, GiveTheMatrixBackFromOrthonormalDirectionsInFallingOrder) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{7, 7}, {20, 6}, {5, 31}, {1, 4}}) {
    const Matrix matrix = random_matrix(rows, columns, 5);
    const SingularValues parts = singular_values(matrix);
    expect_same(restored(parts), matrix, 1e-12);
    expect_orthonormal_rows(parts.right, 1e-12);
    expect_orthonormal_rows(parts.left.transposed(), 1e-12);
    for (std::size_t k = 1; k < parts.values.size(); ++k) EXPECT_GE(parts.values[k - 1], parts.values[k]);
  }
}

TEST(SingularValues, OfAKnownMatrixAreKnown) {
  Matrix matrix(2, 2);
  matrix.values = {3, 0, 4, 5};  // eigenvalues of the Gram matrix: 45 and 5
  const SingularValues parts = singular_values(matrix);
  EXPECT_NEAR(parts.values[0], std::sqrt(45.0), 1e-14);
  EXPECT_NEAR(parts.values[1], std::sqrt(5.0), 1e-14);
}

TEST(SingularValues, OfAMatrixOfLowRankAreZeroBehindIt) {
  const Matrix matrix = product(random_matrix(9, 3, 1), random_matrix(3, 8, 2));
  const SingularValues parts = singular_values(matrix);
  expect_same(restored(parts), matrix, 1e-12);
  for (std::size_t k = 3; k < parts.values.size(); ++k) EXPECT_NEAR(parts.values[k], 0.0, 1e-13);
}

TEST(SingularValues, OfAProductAreThoseOfItsMatrixAlsoWhereAFactorIsZeroOrDependent) {
  Matrix b = random_matrix(11, 5, 3), a = random_matrix(5, 14, 4);
  for (std::int64_t j = 0; j < b.rows; ++j) {
    b.at(j, 2) = 0;
    b.at(j, 4) = 2 * b.at(j, 1);
  }
  const Matrix whole = product(b, a);
  const SingularValues parts = singular_values_of_product(b, a), exact = singular_values(whole);
  expect_same(restored(parts), whole, 1e-12);
  for (std::size_t k = 0; k < parts.values.size(); ++k) EXPECT_NEAR(parts.values[k], exact.values[k], 1e-12);
}

TEST(SingularValues, TheLeadingOnesOfALargeMatrixComeCloseWithEveryIteration) {
  const Matrix matrix = random_matrix(90, 70, 6);
  kernels::Tensor weight({90, 70});
  for (std::size_t i = 0; i < matrix.values.size(); ++i)
    weight.values<float>()[i] = static_cast<float>(matrix.values[i]);
  kernels::Context context = kernels::Context::cpu(1);
  const SingularValues exact = singular_values(matrix);
  double before = 1;
  for (const int iterations : {1, 8, 64}) {
    kernels::Random random(7);
    const SingularValues near = leading_singular_values(context, weight, 4, iterations, random);
    double worst = 0;
    for (std::size_t k = 0; k < 4; ++k) worst = std::max(worst, std::fabs(near.values[k] / exact.values[k] - 1));
    EXPECT_LT(worst, before);
    before = worst;
  }
  EXPECT_LT(before, 1e-5);
}

}  // namespace
}  // namespace finetune
