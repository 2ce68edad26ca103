// Compiler vectors of kLanes floats, which lower to whatever instructions the calling function is compiled for
// (instruction_set.h), and what attention computes with them. Values keep IEEE meaning.
#pragma once

#include <cstdint>

#include "kernels/cpu/simd.h"

namespace kernels::cpu {

template <int kLanes>
struct Vector {
  typedef float Floats __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
  typedef std::int32_t Integers __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
  typedef std::uint32_t Bits __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
};
template <int kLanes>
using Floats = typename Vector<kLanes>::Floats;
template <int kLanes>
using Integers = typename Vector<kLanes>::Integers;
template <int kLanes>
using Bits = typename Vector<kLanes>::Bits;

template <int kLanes>
ANNEAL_INLINE Floats<kLanes> load_lanes(const float* from) {
  return *reinterpret_cast<const Floats<kLanes>*>(from);
}
template <int kLanes>
ANNEAL_INLINE void store_lanes(float* to, Floats<kLanes> value) {
  *reinterpret_cast<Floats<kLanes>*>(to) = value;
}

/// 0, 1, 2 ...
template <int kLanes>
ANNEAL_INLINE Integers<kLanes> lane_numbers() {
  Integers<kLanes> numbers{};
  for (int lane = 0; lane < kLanes; ++lane) numbers[lane] = lane;
  return numbers;
}

/// `value` in the lanes [first, last), `other` outside.
template <int kLanes>
ANNEAL_INLINE Floats<kLanes> keep_lanes(Floats<kLanes> value, std::int64_t first, std::int64_t last, float other) {
  const Integers<kLanes> lane = lane_numbers<kLanes>();
  const Floats<kLanes> others = Floats<kLanes>{} + other;
  const Floats<kLanes> below = lane < static_cast<std::int32_t>(last) ? value : others;
  return lane >= static_cast<std::int32_t>(first) ? below : others;
}

/// Half as many lanes: the first ones, and the last ones.
template <int kLanes>
ANNEAL_INLINE Floats<kLanes / 2> low_lanes(Floats<kLanes> v) {
  if constexpr (kLanes == 16) return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
  if constexpr (kLanes == 8) return __builtin_shufflevector(v, v, 0, 1, 2, 3);
  if constexpr (kLanes == 4) return __builtin_shufflevector(v, v, 0, 1);
}
template <int kLanes>
ANNEAL_INLINE Floats<kLanes / 2> high_lanes(Floats<kLanes> v) {
  if constexpr (kLanes == 16) return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  if constexpr (kLanes == 8) return __builtin_shufflevector(v, v, 4, 5, 6, 7);
  if constexpr (kLanes == 4) return __builtin_shufflevector(v, v, 2, 3);
}

/// The highest lane; none may be NaN.
template <int kLanes>
ANNEAL_INLINE float highest_of_lanes(Floats<kLanes> value) {
  if constexpr (kLanes == 2) {
    return value[0] < value[1] ? value[1] : value[0];
  } else {
    const Floats<kLanes / 2> low = low_lanes<kLanes>(value), high = high_lanes<kLanes>(value);
    return highest_of_lanes<kLanes / 2>(low < high ? high : low);
  }
}

/// 2^x within 2 units in the last place for x < 127.5; 0 below -126, NaN for NaN. Half the work of fast_exp.
template <int kLanes>
ANNEAL_INLINE Floats<kLanes> exp2_lanes(Floats<kLanes> x) {
  // x = n + r, |r| <= 1/2. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float kRound = 12582912.0f;
  const Floats<kLanes> shifted = x + kRound;
  const Floats<kLanes> r = x - (shifted - kRound);
  // (2^r - 1) / r at the Chebyshev nodes of degree 6: 2^r within 1e-8.
  Floats<kLanes> p = Floats<kLanes>{} + 1.54531634e-4f;
  p = p * r + 1.33908633e-3f;
  p = p * r + 9.61808302e-3f;
  p = p * r + 5.55035695e-2f;
  p = p * r + 2.40226507e-1f;
  p = p * r + 6.93147182e-1f;
  p = p * r + 1.0f;
  // A factor, not an addition to the bits of p, so that NaN stays NaN.
  const Bits<kLanes> exponent = (reinterpret_cast<Bits<kLanes>>(shifted) << 23) + (127u << 23);
  const Floats<kLanes> result = p * reinterpret_cast<Floats<kLanes>>(exponent);
  return x < -126.0f ? Floats<kLanes>{} : result;
}

}  // namespace kernels::cpu
