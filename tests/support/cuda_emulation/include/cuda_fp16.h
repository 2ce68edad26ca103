// Stands in for CUDA's float16 header: the conversions that kernels/cuda/numeric.h uses.
#pragma once

#include "kernels/core/data_type.h"

struct __half {
  unsigned short bits;
};

inline __half __float2half_rn(float value) { return {kernels::to_float16(value).bits}; }
inline float __half2float(__half value) { return kernels::to_float(kernels::Float16{value.bits}); }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
