// The loops of kernels/ops/elementwise.h on plain arrays; outputs may be inputs.
#pragma once

#include <cstdint>

namespace kernels::cpu {

/// y += factor * x.
void add(const float* x, float factor, std::int64_t count, float* y);
void multiply(const float* a, const float* b, std::int64_t count, float* y);
/// y = x * factors + beta * y; beta 0 overwrites.
void multiply_row(const float* x, const float* factors, float beta, std::int64_t count, float* y);
/// total += a * b.
void add_products(const float* a, const float* b, std::int64_t count, float* total);
void scale(float factor, std::int64_t count, float* y);
void silu_forward(const float* x, std::int64_t count, float* y);
void silu_backward(const float* dy, const float* x, std::int64_t count, float* dx);
void gelu_forward(const float* x, std::int64_t count, float* y);
void gelu_backward(const float* dy, const float* x, std::int64_t count, float* dx);

}  // namespace kernels::cpu
