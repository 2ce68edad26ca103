#include "kernels/core/parallel.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

struct StepFactors {
  float gradient_scale, momentum, rate, decay;
};

ANNEAL_SIMD void update(const StepFactors& f, const float* gradient, std::int64_t count, float* momentum,
                        float* value) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float moved = f.momentum * momentum[i] + (gradient[i] * f.gradient_scale + f.decay * value[i]);
    momentum[i] = moved;
    value[i] -= f.rate * moved;
  }
}

}  // namespace

void sgd_step(Context& context, std::span<const SgdTensor> tensors, const SgdOptions& options, float gradient_scale) {
  for (const SgdTensor& tensor : tensors) {
    const StepFactors factors{gradient_scale, options.momentum, options.learning_rate * tensor.learning_rate_scale,
                              tensor.decay ? options.weight_decay : 0.0f};
    const float* gradient = tensor.gradient->data<float>();
    float *momentum = tensor.momentum->data<float>(), *value = tensor.value->data<float>();
    parallel_for(context, tensor.value->count(), 16384, [&](std::int64_t begin, std::int64_t end) {
      update(factors, gradient + begin, end - begin, momentum + begin, value + begin);
    });
  }
}

}  // namespace kernels::cpu
