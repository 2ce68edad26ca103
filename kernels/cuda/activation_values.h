// The activations and their derivatives on one element (ops/activation.h), in kernels.
#pragma once

#include <cuda_runtime.h>

#include "kernels/ops/activation.h"

namespace kernels::cuda {

struct ActivationValue {
  float value;
  float slope;
};

__device__ inline ActivationValue silu(float z) {
  const float s = 1.0f / (1.0f + expf(-z));
  return {z * s, s * (1.0f + z * (1.0f - s))};
}

__device__ inline ActivationValue gelu_tanh(float z) {
  constexpr float kScale = 0.79788456f, kCubic = 0.044715f;  // sqrt(2 / pi)
  const float t = tanhf(kScale * (z + kCubic * z * z * z));
  const float inner = kScale * (1.0f + 3.0f * kCubic * z * z);
  return {0.5f * z * (1.0f + t), 0.5f * (1.0f + t) + 0.5f * z * (1.0f - t * t) * inner};
}

/// kActivation is known when compiling, so that a loop has no branch.
template <Activation kActivation>
__device__ inline ActivationValue activated(float z) {
  if constexpr (kActivation == Activation::kSilu) return silu(z);
  return gelu_tanh(z);
}

/// Calls body(std::integral_constant<Activation, ...>).
template <typename Body>
void with_activation(Activation activation, const Body& body) {
  if (activation == Activation::kSilu) return body(std::integral_constant<Activation, Activation::kSilu>{});
  body(std::integral_constant<Activation, Activation::kGeluTanh>{});
}

}  // namespace kernels::cuda
