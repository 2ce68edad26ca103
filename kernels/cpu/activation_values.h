// The activations and their derivatives on one element, for the loops of swiglu.cpp and elementwise.cpp.
#pragma once

#include "kernels/cpu/simd.h"

namespace kernels::cpu {

struct ActivationValue {
  float value;
  float slope;
};

ANNEAL_INLINE ActivationValue silu(float z) {
  const float s = fast_sigmoid(z);
  return {z * s, s * (1.0f + z * (1.0f - s))};
}

ANNEAL_INLINE ActivationValue gelu_tanh(float z) {
  constexpr float kScale = 0.79788456f, kCubic = 0.044715f;  // sqrt(2 / pi)
  const float t = fast_tanh(kScale * (z + kCubic * z * z * z));
  const float inner = kScale * (1.0f + 3.0f * kCubic * z * z);
  return {0.5f * z * (1.0f + t), 0.5f * (1.0f + t) + 0.5f * z * (1.0f - t * t) * inner};
}

}  // namespace kernels::cpu
