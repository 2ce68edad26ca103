#include "kernels/core/parallel.h"
#include "kernels/cpu/activation_values.h"
#include "kernels/cpu/operations.h"

namespace kernels::cpu {
namespace {

constexpr std::int64_t kGrainElements = 8192;

ANNEAL_SIMD void gated_silu(const float* gate, const float* up, std::int64_t count, float* h) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) h[i] = silu(gate[i]).value * up[i];
}

ANNEAL_SIMD void gated_gelu(const float* gate, const float* up, std::int64_t count, float* h) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) h[i] = gelu_tanh(gate[i]).value * up[i];
}

ANNEAL_SIMD void gated_silu_backward(const float* dh, const float* gate, const float* up, std::int64_t count,
                                     float* dgate, float* dup) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const ActivationValue a = silu(gate[i]);
    const float d = dh[i], u = up[i];
    dgate[i] = d * u * a.slope;
    dup[i] = d * a.value;
  }
}

ANNEAL_SIMD void gated_gelu_backward(const float* dh, const float* gate, const float* up, std::int64_t count,
                                     float* dgate, float* dup) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const ActivationValue a = gelu_tanh(gate[i]);
    const float d = dh[i], u = up[i];
    dgate[i] = d * u * a.slope;
    dup[i] = d * a.value;
  }
}

}  // namespace

void swiglu_forward(Context& context, const Tensor& gate, const Tensor& up, Tensor& h, Activation activation) {
  const auto loop = activation == Activation::kSilu ? gated_silu : gated_gelu;
  const float *gates = gate.data<float>(), *ups = up.data<float>();
  float* outputs = h.data<float>();
  parallel_for(context, gate.count(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    loop(gates + begin, ups + begin, end - begin, outputs + begin);
  });
}

void swiglu_backward(Context& context, const Tensor& dh, const Tensor& gate, const Tensor& up, Tensor& dgate,
                     Tensor& dup, Activation activation) {
  const auto loop = activation == Activation::kSilu ? gated_silu_backward : gated_gelu_backward;
  const float *gradients = dh.data<float>(), *gates = gate.data<float>(), *ups = up.data<float>();
  float *gate_gradients = dgate.data<float>(), *up_gradients = dup.data<float>();
  parallel_for(context, gate.count(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    loop(gradients + begin, gates + begin, ups + begin, end - begin, gate_gradients + begin, up_gradients + begin);
  });
}

}  // namespace kernels::cpu
