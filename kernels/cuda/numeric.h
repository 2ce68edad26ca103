// Numbers in kernels: storage in float32, bfloat16 or float16, arithmetic in float32.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "kernels/core/data_type.h"
#include "kernels/core/error.h"
#include "kernels/cuda/view.h"

namespace kernels::cuda {

/// The value as float32, exactly.
__device__ inline float widen(float value) { return value; }
__device__ inline float widen(BFloat16 value) { return __uint_as_float(static_cast<unsigned>(value.bits) << 16); }
__device__ inline float widen(Float16 value) { return __half2float(__ushort_as_half(value.bits)); }

/// Rounded to the nearest value of T, ties to even.
template <typename T>
__device__ inline T narrow(float value) {
  if constexpr (sizeof(T) == 4) {
    return value;
  } else if constexpr (data_type_of<T>() == DataType::kBFloat16) {
    return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
  } else {
    return {__half_as_ushort(__float2half_rn(value))};
  }
}

/// Two neighbours as the tensor cores take them: `low` in the low half.
template <typename T>
__device__ inline std::uint32_t packed(float low, float high) {
  static_assert(sizeof(T) == 2);
  return static_cast<std::uint32_t>(narrow<T>(low).bits) | static_cast<std::uint32_t>(narrow<T>(high).bits) << 16;
}

/// N elements from index i on, widened; accesses of up to 16 bytes, so the first must be aligned to min(16, all of
/// them).
template <int N, typename T, bool kIsShared>
__device__ inline void load_floats(const View<T, kIsShared>& view, std::int64_t i, float (&values)[N]) {
  constexpr int kWidest = 16 / static_cast<int>(sizeof(T)), kAtOnce = N < kWidest ? N : kWidest;
#pragma unroll
  for (int first = 0; first < N; first += kAtOnce) {
    const auto stored = view.template load<kAtOnce>(i + first);
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) values[first + k] = widen(stored[k]);
  }
}

template <int N, typename T, bool kIsShared>
__device__ inline void store_floats(const View<T, kIsShared>& view, std::int64_t i, const float (&values)[N]) {
  constexpr int kWidest = 16 / static_cast<int>(sizeof(T)), kAtOnce = N < kWidest ? N : kWidest;
#pragma unroll
  for (int first = 0; first < N; first += kAtOnce) {
    Vector<T, kAtOnce> stored;
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) stored[k] = narrow<T>(values[first + k]);
    view.template store<kAtOnce>(i + first, stored);
  }
}

/// Calls body(T{}) with the C++ type of a floating-point tensor type.
template <typename Body>
void with_float_type(DataType type, const Body& body) {
  switch (type) {
    case DataType::kFloat32: return body(float{});
    case DataType::kBFloat16: return body(BFloat16{});
    case DataType::kFloat16: return body(Float16{});
    default: throw_invalid("cuda", std::string(name_of(type)) + " is not a floating-point type");
  }
}

/// The most elements of T, at most 16 bytes, that can move at once in rows of `columns` of all these tensors (null:
/// not counted): 16 / sizeof(T) or 1.
template <typename T>
int vector_width(std::int64_t columns, std::initializer_list<const void*> starts) {
  constexpr int kWidest = 16 / static_cast<int>(sizeof(T));
  if (columns % kWidest != 0) return 1;
  for (const void* start : starts) {
    if (reinterpret_cast<std::uintptr_t>(start) % 16 != 0) return 1;
  }
  return kWidest;
}

/// Calls body(std::integral_constant<int, N>) with N = vector_width<T>(...).
template <typename T, typename Body>
void with_vector_width(std::int64_t columns, std::initializer_list<const void*> starts, const Body& body) {
  if (vector_width<T>(columns, starts) == 1) return body(std::integral_constant<int, 1>{});
  body(std::integral_constant<int, 16 / static_cast<int>(sizeof(T))>{});
}

constexpr __host__ __device__ std::int64_t divided_up(std::int64_t count, std::int64_t by) {
  return (count + by - 1) / by;
}

}  // namespace kernels::cuda
