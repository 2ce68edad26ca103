// Rows of softmax and cross-entropy. The maximum is subtracted first, so nothing overflows.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

ANNEAL_SIMD float row_maximum(const float* values, std::int64_t count) {
  float highest = values[0];
#pragma omp simd reduction(max : highest)
  for (std::int64_t i = 0; i < count; ++i) highest = highest < values[i] ? values[i] : highest;
  return highest;
}

// y = exp(x - shift); returns the sum.
ANNEAL_SIMD float exponentials(const float* x, std::int64_t count, float shift, float* y) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = fast_exp(x[i] - shift);
    y[i] = value;
    total += value;
  }
  return total;
}

ANNEAL_SIMD float sum_of_exponentials(const float* x, std::int64_t count, float shift) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += fast_exp(x[i] - shift);
  return total;
}

ANNEAL_SIMD void scale_values(float* y, std::int64_t count, float factor) {
  for (std::int64_t i = 0; i < count; ++i) y[i] *= factor;
}

ANNEAL_SIMD void capped(const float* x, std::int64_t count, float cap, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = cap * fast_tanh(x[i] / cap);
}

// y = factor * exp(x - shift) * (1 - (x / cap)^2), x the capped logit; y may be x.
ANNEAL_SIMD void capped_gradient(const float* x, std::int64_t count, float shift, float factor, float cap, float* y) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float ratio = x[i] / cap;
    y[i] = factor * fast_exp(x[i] - shift) * (1.0f - ratio * ratio);
  }
}

}  // namespace

double cross_entropy_row(const LossRow& row) {
  const float highest = row_maximum(row.logits, row.classes);
  const float target = row.logits[row.target];
  if (row.gradient == nullptr) {
    const float total = sum_of_exponentials(row.logits, row.classes, highest);
    return std::log(static_cast<double>(total)) + static_cast<double>(highest - target);
  }
  if (row.softcap > 0.0f) {
    const float total = sum_of_exponentials(row.logits, row.classes, highest);
    const float ratio = target / row.softcap;
    capped_gradient(row.logits, row.classes, highest, row.weight / total, row.softcap, row.gradient);
    row.gradient[row.target] -= row.weight * (1.0f - ratio * ratio);
    return std::log(static_cast<double>(total)) + static_cast<double>(highest - target);
  }
  const float total = exponentials(row.logits, row.classes, highest, row.gradient);
  scale_values(row.gradient, row.classes, row.weight / total);
  row.gradient[row.target] -= row.weight;
  return std::log(static_cast<double>(total)) + static_cast<double>(highest - target);
}

void softcap_row(float* logits, std::int64_t classes, float cap) { capped(logits, classes, cap, logits); }

void softmax_row(const float* logits, std::int64_t classes, float* y) {
  const float total = exponentials(logits, classes, row_maximum(logits, classes), y);
  scale_values(y, classes, 1.0f / total);
}

}  // namespace kernels::cpu
