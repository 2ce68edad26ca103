#include "finetune/model/singular_values.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/ops/matmul.h"

namespace finetune {
namespace {

using kernels::Tensor;

constexpr int kMaxSweeps = 60;
constexpr double kOrthogonal = 1e-15;
// More directions than asked for, so that the last ones converge as well.
constexpr std::int64_t kOversampling = 10;

double dot(const double* a, const double* b, std::int64_t count) { return std::inner_product(a, a + count, b, 0.0); }

// Turns rows p and q of both by the angle that makes those of `work` orthogonal; false if they were.
bool rotate(Matrix& work, Matrix& turns, std::int64_t p, std::int64_t q) {
  double *x = &work.at(p, 0), *y = &work.at(q, 0);
  const double xx = dot(x, x, work.columns), yy = dot(y, y, work.columns), xy = dot(x, y, work.columns);
  if (std::abs(xy) <= kOrthogonal * std::sqrt(xx * yy)) return false;
  const double zeta = (yy - xx) / (2.0 * xy);
  const double tangent = (zeta >= 0 ? 1.0 : -1.0) / (std::abs(zeta) + std::sqrt(1.0 + zeta * zeta));
  const double cosine = 1.0 / std::sqrt(1.0 + tangent * tangent), sine = cosine * tangent;
  const auto turn = [&](double* a, double* b, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      const double first = a[i], second = b[i];
      a[i] = cosine * first - sine * second;
      b[i] = sine * first + cosine * second;
    }
  };
  turn(x, y, work.columns);
  turn(&turns.at(p, 0), &turns.at(q, 0), turns.columns);
  return true;
}

// Of a matrix with at least as many rows as columns. Its columns are the rows of `work`, so that each lies together.
SingularValues of_tall(const Matrix& matrix) {
  Matrix work = matrix.transposed();
  const std::int64_t count = work.rows;
  Matrix turns(count, count);
  for (std::int64_t k = 0; k < count; ++k) turns.at(k, k) = 1.0;
  for (int sweep = 0, turned = 1; turned > 0 && sweep < kMaxSweeps; ++sweep) {
    turned = 0;
    for (std::int64_t p = 0; p < count; ++p) {
      for (std::int64_t q = p + 1; q < count; ++q) turned += rotate(work, turns, p, q) ? 1 : 0;
    }
  }
  std::vector<double> norms(static_cast<std::size_t>(count));
  std::vector<std::size_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::int64_t k = 0; k < count; ++k)
    norms[static_cast<std::size_t>(k)] = std::sqrt(dot(&work.at(k, 0), &work.at(k, 0), work.columns));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return norms[a] > norms[b]; });
  SingularValues parts{Matrix(matrix.rows, count), {}, Matrix(count, count)};
  for (std::int64_t k = 0; k < count; ++k) {
    const std::size_t from = order[static_cast<std::size_t>(k)];
    const auto row = static_cast<std::int64_t>(from);
    parts.values.push_back(norms[from]);
    if (norms[from] == 0) continue;
    for (std::int64_t j = 0; j < matrix.rows; ++j) parts.left.at(j, k) = work.at(row, j) / norms[from];
    for (std::int64_t i = 0; i < count; ++i) parts.right.at(k, i) = turns.at(row, i);
  }
  return parts;
}

SingularValues transposed(const SingularValues& parts) {
  return {parts.right.transposed(), parts.values, parts.left.transposed()};
}

struct Triangular {
  Matrix q;  // [rows, columns], orthonormal columns, zero where a column depends on those before it
  Matrix r;  // [columns, columns], upper
};

// Gram-Schmidt, each column twice, which is enough (Giraud et al. 2005).
Triangular orthonormal(const Matrix& matrix) {
  Matrix work = matrix.transposed();
  Matrix r(matrix.columns, matrix.columns);
  for (std::int64_t k = 0; k < work.rows; ++k) {
    double* column = &work.at(k, 0);
    const double before = std::sqrt(dot(column, column, work.columns));
    for (int pass = 0; pass < 2; ++pass) {
      for (std::int64_t p = 0; p < k; ++p) {
        const double* other = &work.at(p, 0);
        const double along = dot(other, column, work.columns);
        r.at(p, k) += along;
        for (std::int64_t i = 0; i < work.columns; ++i) column[i] -= along * other[i];
      }
    }
    const double norm = std::sqrt(dot(column, column, work.columns));
    const bool independent = norm > 1e-13 * before;
    if (independent) r.at(k, k) = norm;
    for (std::int64_t i = 0; i < work.columns; ++i) column[i] = independent ? column[i] / norm : 0.0;
  }
  return {work.transposed(), std::move(r)};
}

Tensor to_tensor(const Matrix& matrix) {
  Tensor tensor({matrix.rows, matrix.columns});
  std::transform(matrix.values.begin(), matrix.values.end(), tensor.data<float>(),
                 [](double value) { return static_cast<float>(value); });
  return tensor;
}

}  // namespace

Matrix Matrix::from(const Tensor& tensor) {
  Matrix matrix(tensor.size(0), tensor.size(1));
  const Tensor wide = tensor.cast_to(kernels::DataType::kFloat32);
  std::copy_n(wide.data<float>(), wide.count(), matrix.values.begin());
  return matrix;
}

Matrix Matrix::transposed() const {
  Matrix other(columns, rows);
  for (std::int64_t j = 0; j < rows; ++j) {
    for (std::int64_t i = 0; i < columns; ++i) other.at(i, j) = at(j, i);
  }
  return other;
}

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.columns);
  for (std::int64_t j = 0; j < a.rows; ++j) {
    for (std::int64_t k = 0; k < a.columns; ++k) {
      const double factor = a.at(j, k);
      for (std::int64_t i = 0; i < b.columns; ++i) c.at(j, i) += factor * b.at(k, i);
    }
  }
  return c;
}

SingularValues singular_values(const Matrix& matrix) {
  return matrix.rows >= matrix.columns ? of_tall(matrix) : transposed(of_tall(matrix.transposed()));
}

SingularValues leading_singular_values(kernels::Context& context, const Tensor& weight, std::int64_t count,
                                       int iterations, kernels::Random& random) {
  const std::int64_t rows = weight.size(0), columns = weight.size(1);
  const std::int64_t width = std::min({rows, columns, count + kOversampling});
  Tensor right({columns, width}), left({rows, width});
  for (float& value : right.values<float>()) value = static_cast<float>(random.normal());
  for (int iteration = 0; iteration <= iterations; ++iteration) {
    kernels::matmul(context, weight, right, left);
    left = to_tensor(orthonormal(Matrix::from(left)).q);
    kernels::matmul(context, weight, left, right, {.transpose_a = true});
    if (iteration < iterations) right = to_tensor(orthonormal(Matrix::from(right)).q);
  }
  SingularValues parts = singular_values(Matrix::from(right).transposed());  // of left^T W
  parts.left = product(Matrix::from(left), parts.left);
  return parts;
}

SingularValues singular_values_of_product(const Matrix& b, const Matrix& a) {
  const Triangular left = orthonormal(b), right = orthonormal(a.transposed());
  SingularValues parts = singular_values(product(left.r, right.r.transposed()));
  parts.left = product(left.q, parts.left);
  parts.right = product(parts.right, right.q.transposed());
  return parts;
}

}  // namespace finetune
