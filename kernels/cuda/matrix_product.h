// matrix_product(): the one door to the library of matrix products; cuBLASLt natively (matrix_product.cu), the CPU's
// product under emulation (tests/support/cuda_emulation/matrix_product.cpp).
#pragma once

#include <cstdint>

#include "kernels/core/context.h"
#include "kernels/core/data_type.h"

namespace kernels::cuda {

/// A stored row-major matrix on the device.
struct Matrix {
  const void* data = nullptr;
  DataType type = DataType::kFloat32;
  std::int64_t row_stride = 0;  // elements from one stored row to the next
};

/// c = alpha op(a) op(b) + beta c, accumulated in float32; op(a): [m, k], op(b): [k, n], c: [m, n]. a and b: one
/// floating-point type; c: the same or float32. beta 0 overwrites whatever c held. float32 products are float32 all
/// through (no TF32).
struct MatrixProduct {
  bool transpose_a = false, transpose_b = false;
  std::int64_t m = 0, n = 0, k = 0;
  float alpha = 1.0f, beta = 0.0f;
  Matrix a, b;
  void* c = nullptr;
  DataType c_type = DataType::kFloat32;
  std::int64_t c_row_stride = 0;
};

/// Runs on the context's stream. Nothing is done where c has no elements; k = 0 leaves beta * c. Throws DeviceError
/// that names `operation`, shape and types.
void matrix_product(Context& context, const char* operation, const MatrixProduct& product);

}  // namespace kernels::cuda
