// Stands in for CUDA's bfloat16 header: the conversions that kernels/cuda/numeric.h uses.
#pragma once

#include "kernels/core/data_type.h"

struct __nv_bfloat16 {
  unsigned short bits;
};

inline __nv_bfloat16 __float2bfloat16_rn(float value) { return {kernels::to_bfloat16(value).bits}; }
inline float __bfloat162float(__nv_bfloat16 value) { return kernels::to_float(kernels::BFloat16{value.bits}); }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return {bits}; }
