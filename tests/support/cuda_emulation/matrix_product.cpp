// The products of the emulated device: the CPU's, in float32, on copies widened from and rounded to the stored types.
#include "kernels/cuda/matrix_product.h"

#include <vector>

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/session.h"
#include "tests/support/cuda_emulation/memory_check.h"

namespace kernels::cuda {
namespace {

struct Stored {
  std::int64_t rows, columns;
};

const std::byte* row_start(const void* data, DataType type, std::int64_t stride, std::int64_t row) {
  return static_cast<const std::byte*>(data) + static_cast<std::size_t>(row * stride) * size_of(type);
}

std::vector<float> widened(const Matrix& matrix, const Stored& shape, const char* operation) {
  std::vector<float> values;
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    const std::byte* start = row_start(matrix.data, matrix.type, matrix.row_stride, r);
    if (cuda_emulation::allocation_of(start) == nullptr && shape.columns > 0)
      cuda_emulation::violate(std::string(operation) + ": a matrix is in host memory");
    cuda_emulation::host_reads(start, static_cast<std::size_t>(shape.columns) * size_of(matrix.type), operation);
    const Tensor row = Tensor::wrap_const(start, {shape.columns}, matrix.type).cast_to(DataType::kFloat32);
    values.insert(values.end(), row.values<float>().begin(), row.values<float>().end());
  }
  return values;
}

void check_strides(const char* operation, const MatrixProduct& p, const Stored& a, const Stored& b) {
  if (p.a.type != p.b.type || (p.c_type != p.a.type && p.c_type != DataType::kFloat32))
    throw DeviceError(std::string(operation) + ": the library takes a and b of one type, and c of that or float32");
  if (p.a.row_stride < a.columns || p.b.row_stride < b.columns || p.c_row_stride < p.n)
    throw DeviceError(std::string(operation) + ": a row stride is shorter than its row");
}

void multiply(const char* operation, const MatrixProduct& p) {
  const Stored a = p.transpose_a ? Stored{p.k, p.m} : Stored{p.m, p.k};
  const Stored b = p.transpose_b ? Stored{p.n, p.k} : Stored{p.k, p.n};
  check_strides(operation, p, a, b);
  const std::vector<float> left = widened(p.a, a, operation), right = widened(p.b, b, operation);
  std::vector<float> result(static_cast<std::size_t>(p.m * p.n));
  if (p.beta != 0.0f) result = widened({p.c, p.c_type, p.c_row_stride}, {p.m, p.n}, operation);
  Context cpu = Context::cpu(1);
  cpu::gemm(cpu, p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, left.data(),
            std::max<std::int64_t>(1, a.columns), right.data(), std::max<std::int64_t>(1, b.columns), p.beta,
            result.data(), p.n);
  const std::size_t row_bytes = static_cast<std::size_t>(p.n) * size_of(p.c_type);
  for (std::int64_t r = 0; r < p.m; ++r) {
    void* start = const_cast<std::byte*>(row_start(p.c, p.c_type, p.c_row_stride, r));
    cuda_emulation::host_writes(start, row_bytes);
    const Tensor row = Tensor::wrap_const(result.data() + r * p.n, {p.n});
    Tensor::wrap(start, {p.n}, p.c_type).copy_from(row.cast_to(p.c_type));
  }
}

}  // namespace

void matrix_product(Context& context, const char* operation, const MatrixProduct& product) {
  if (product.m == 0 || product.n == 0) return;
  cuda_emulation::submit(context.cuda_session().stream().handle(), [=] { multiply(operation, product); });
}

}  // namespace kernels::cuda
