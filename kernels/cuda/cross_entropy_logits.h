// What every loss over rows of logits does inside of its kernel: scale and cap of a logit, and the softmax's maximum
// and sum over a row.
#pragma once

#include <cuda_runtime.h>

#include <cmath>

#include "kernels/cuda/numeric.h"
#include "kernels/cuda/reduce.h"

namespace kernels::cuda {

inline constexpr int kLogitThreads = 256;  // of a block, which has one row

/// A logit after scale and cap, and the slope of that.
struct Logit {
  float value, slope;
};

/// value = cap tanh(scale z / cap), cap 0 for none. -infinity stays what it is: no outcome.
struct LogitMap {
  float scale = 1.0f, softcap = 0.0f;
  __device__ Logit operator()(float z) const {
    if (z == -INFINITY) return {z, 0.0f};
    z *= scale;
    if (softcap == 0.0f) return {z, scale};
    const float t = tanhf(z / softcap);
    return {softcap * t, scale * (1.0f - t * t)};
  }
};

struct MaximumAndSum {
  float maximum, sum;  // of exp(z - maximum); 0 where there is no outcome
};

/// Of the elements start .. start + classes. All threads of the block call; `scratch` as for block_sum.
template <int N, typename T>
__device__ inline MaximumAndSum softmax_statistics(const GlobalView<const T>& logits, std::int64_t start,
                                                   std::int64_t classes, const LogitMap& map,
                                                   const SharedArray<float>& scratch) {
  float largest = -INFINITY, sum = 0.0f;
  for (std::int64_t c = threadIdx.x * N; c < classes; c += kLogitThreads * N) {
    float values[N];
    load_floats(logits, start + c, values);
    float top = largest;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      values[k] = map(values[k]).value;
      top = fmaxf(top, values[k]);
    }
    if (top == -INFINITY) continue;
    sum *= expf(largest - top);
#pragma unroll
    for (int k = 0; k < N; ++k) sum += expf(values[k] - top);
    largest = top;
  }
  const float maximum = block_max(largest, scratch);
  return {maximum, block_sum(largest == -INFINITY ? 0.0f : sum * expf(largest - maximum), scratch)};
}

}  // namespace kernels::cuda
