#include <cmath>

#include "kernels/core/parallel.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

constexpr std::int64_t kGrainElements = 16384;

ANNEAL_SIMD float sum_of_squares(const float* x, std::int64_t count) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += x[i] * x[i];
  return total;
}

ANNEAL_SIMD void normalised(const float* x, const float* weight, float rstd, std::int64_t count, float* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = x[i] * rstd * weight[i];
}

ANNEAL_SIMD float weighted_dot(const float* dy, const float* x, const float* weight, std::int64_t count) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += dy[i] * x[i] * weight[i];
  return total;
}

// dx (= or +=) rstd * weight * dy - x * along
ANNEAL_SIMD void input_gradient(const float* dy, const float* x, const float* weight, float rstd, float along,
                                std::int64_t count, bool accumulate, float* dx) {
  if (accumulate) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) dx[i] += rstd * weight[i] * dy[i] - x[i] * along;
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) dx[i] = rstd * weight[i] * dy[i] - x[i] * along;
  }
}

ANNEAL_SIMD void weight_gradient(const float* dy, const float* x, float rstd, std::int64_t count, float* dweight) {
  for (std::int64_t i = 0; i < count; ++i) dweight[i] += dy[i] * x[i] * rstd;
}

const float* effective_weight(ScratchFrame& frame, const Tensor& weight, bool plus_one) {
  float* values = frame.floats(weight.count());
  widen(float_source(weight), 0, weight.count(), values);
  if (plus_one) {
    for (std::int64_t i = 0; i < weight.count(); ++i) values[i] += 1.0f;
  }
  return values;
}

}  // namespace

void rms_norm_forward(Context& context, const Tensor& x, const Tensor& weight, const RmsNormOptions& options, Tensor& y,
                      Tensor& rstd) {
  const std::int64_t channels = weight.count(), rows = rstd.count();
  ScratchFrame frame(context);
  const float* weights = effective_weight(frame, weight, options.weight_plus_one);
  const float* inputs = x.data<float>();
  float *outputs = y.data<float>(), *scales = rstd.data<float>();
  parallel_for(context, rows, 1 + kGrainElements / channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const float mean = sum_of_squares(inputs + n * channels, channels) / static_cast<float>(channels);
      scales[n] = 1.0f / std::sqrt(mean + options.epsilon);
      normalised(inputs + n * channels, weights, scales[n], channels, outputs + n * channels);
    }
  });
}

void rms_norm_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const RmsNormOptions& options, Tensor& dx, Tensor* dweight, bool accumulate_dx) {
  const std::int64_t channels = weight.count(), rows = rstd.count();
  ScratchFrame frame(context);
  const float* weights = effective_weight(frame, weight, options.weight_plus_one);
  const float *gradients = dy.data<float>(), *inputs = x.data<float>(), *scales = rstd.data<float>();
  if (dweight != nullptr) {  // first, because dx may overwrite dy; threads share the channels, so rows add in order
    float* totals = dweight->data<float>();
    parallel_for(context, channels, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = 0; n < rows; ++n) {
        const std::int64_t place = n * channels + begin;
        weight_gradient(gradients + place, inputs + place, scales[n], end - begin, totals + begin);
      }
    });
  }
  float* outputs = dx.data<float>();
  parallel_for(context, rows, 1 + kGrainElements / channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const std::int64_t place = n * channels;
      const float mean =
          weighted_dot(gradients + place, inputs + place, weights, channels) / static_cast<float>(channels);
      const float along = scales[n] * scales[n] * scales[n] * mean;
      input_gradient(gradients + place, inputs + place, weights, scales[n], along, channels, accumulate_dx,
                     outputs + place);
    }
  });
}

}  // namespace kernels::cpu
