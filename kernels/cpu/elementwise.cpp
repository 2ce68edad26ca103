#include "kernels/cpu/elementwise.h"

#include "kernels/cpu/activation_values.h"

namespace kernels::cpu {

ANNEAL_SIMD void add(const float* x, float factor, std::int64_t count, float* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

ANNEAL_SIMD void multiply(const float* a, const float* b, std::int64_t count, float* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = a[i] * b[i];
}

ANNEAL_SIMD void multiply_row(const float* x, const float* factors, float beta, std::int64_t count, float* y) {
  if (beta == 0.0f) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) y[i] = x[i] * factors[i];
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = x[i] * factors[i] + beta * y[i];
}

ANNEAL_SIMD void add_products(const float* a, const float* b, std::int64_t count, float* total) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) total[i] += a[i] * b[i];
}

ANNEAL_SIMD void scale(float factor, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] *= factor;
}

ANNEAL_SIMD void silu_forward(const float* x, std::int64_t count, float* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = silu(x[i]).value;
}

ANNEAL_SIMD void silu_backward(const float* dy, const float* x, std::int64_t count, float* dx) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) dx[i] = dy[i] * silu(x[i]).slope;
}

ANNEAL_SIMD void gelu_forward(const float* x, std::int64_t count, float* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = gelu_tanh(x[i]).value;
}

ANNEAL_SIMD void gelu_backward(const float* dy, const float* x, std::int64_t count, float* dx) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) dx[i] = dy[i] * gelu_tanh(x[i]).slope;
}

}  // namespace kernels::cpu
