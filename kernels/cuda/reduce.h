// Sums and maxima over a warp and over a block. The order of additions depends on nothing but the shape, so results
// repeat to the bit. All threads of the warp (or block) must call; all get the result.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/view.h"

namespace kernels::cuda {

inline constexpr int kWarpThreads = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

template <typename T>
__device__ inline T warp_sum(T value) {
#pragma unroll
  for (int distance = kWarpThreads / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(kAllLanes, value, distance);
  return value;
}

__device__ inline float warp_max(float value) {
#pragma unroll
  for (int distance = kWarpThreads / 2; distance > 0; distance /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

/// Of a one-dimensional block whose size is a multiple of 32. `scratch` holds 32 elements and may be used again after
/// the call, by another reduction too.
template <typename T>
__device__ inline T block_sum(T value, const SharedArray<T>& scratch) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads, lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int warps = static_cast<int>(blockDim.x) / kWarpThreads;
  value = warp_sum(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = lane < warps ? scratch.load(lane) : T{0};
  value = warp_sum(value);
  __syncthreads();
  return value;
}

__device__ inline float block_max(float value, const SharedArray<float>& scratch) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads, lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int warps = static_cast<int>(blockDim.x) / kWarpThreads;
  value = warp_max(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = scratch.load(lane < warps ? lane : 0);
  value = warp_max(value);
  __syncthreads();
  return value;
}

}  // namespace kernels::cuda
