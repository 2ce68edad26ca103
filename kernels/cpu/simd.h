// What the CPU operations share: the attribute that compiles a loop once per instruction set and picks at run time, and
// the exponential as straight-line code that compilers turn into vector instructions.
//
// ANNEAL_SIMD goes on leaf functions that hold the loop. It must not go on a function with an OpenMP region: the region
// is outlined without it. Inline functions called from the loop are compiled for the caller's instruction set.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/core/data_type.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define ANNEAL_SIMD __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define ANNEAL_SIMD
#endif
#define ANNEAL_INLINE inline __attribute__((always_inline))
#define ANNEAL_ALWAYS_INLINE __attribute__((always_inline))  // of a lambda

namespace kernels::cpu {

/// e^x within 2 units in the last place; 0 below -86.6, infinity above 88.72, NaN for NaN.
ANNEAL_INLINE float fast_exp(float x) {
  // x = n ln2 + r, |r| <= ln2 / 2; e^x = 2^n e^r. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float kRound = 12582912.0f;
  const float clamped = x < -87.0f ? -87.0f : (x > 88.8f ? 88.8f : x);
  const float shifted = clamped * 1.44269504f + kRound;
  const float n = shifted - kRound;
  // ln2 in two parts, so that n * the first one is exact.
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * r) * r + r + 1.0f;
  // 2^n as 2^(n-1) * 2, because 2^128 is no float.
  const std::int32_t exponent = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRound) + 126;
  const float power = std::bit_cast<float>(exponent << 23);
  const float result = p * power * 2.0f;
  return x < -86.6f ? 0.0f : (x > 88.722839f ? std::bit_cast<float>(0x7f800000) : result);
}

ANNEAL_INLINE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

ANNEAL_INLINE float fast_tanh(float x) { return 1.0f - 2.0f / (1.0f + fast_exp(2.0f * x)); }

}  // namespace kernels::cpu
