// Singular value decompositions, in double: exact by one-sided Jacobi rotations (Hestenes), the leading part of a large
// matrix by subspace iteration from random directions (Halko, Martinsson and Tropp 2011), and exact for a product
// B A of low rank, which is never formed. Pure; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"

namespace finetune {

struct Matrix {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;  // row by row

  Matrix() = default;
  Matrix(std::int64_t row_count, std::int64_t column_count)
      : rows(row_count), columns(column_count), values(static_cast<std::size_t>(row_count * column_count), 0.0) {}
  static Matrix from(const kernels::Tensor& tensor);  // [rows, columns], any floating-point type
  double& at(std::int64_t row, std::int64_t column) { return values[static_cast<std::size_t>(row * columns + column)]; }
  double at(std::int64_t row, std::int64_t column) const {
    return values[static_cast<std::size_t>(row * columns + column)];
  }
  Matrix transposed() const;
};

Matrix product(const Matrix& a, const Matrix& b);

/// W = left diag(values) right, values descending. k = min(rows, columns), or what was asked for.
struct SingularValues {
  Matrix left;                 // [rows, k], orthonormal columns (of a zero value: zero)
  std::vector<double> values;  // [k]
  Matrix right;                // [k, columns], orthonormal rows (of a zero value: zero)
};

/// Time grows with the cube of the shorter side.
SingularValues singular_values(const Matrix& matrix);
/// The `count` leading ones of a [rows, columns] float32 weight.
SingularValues leading_singular_values(kernels::Context& context, const kernels::Tensor& weight, std::int64_t count,
                                       int iterations, kernels::Random& random);
/// Of B A, with k = the inner size.  b: [rows, k]; a: [k, columns].
SingularValues singular_values_of_product(const Matrix& b, const Matrix& a);

}  // namespace finetune
