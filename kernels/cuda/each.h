// launch_each(): one thread for every N elements, for operations without neighbours.
#pragma once

#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"

namespace kernels::cuda {

inline constexpr int kEachThreads = 256;

template <int N, typename Body>
__global__ void __launch_bounds__(kEachThreads) each_kernel(Body body, std::int64_t count) {
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
  if (i < count) body(i);
}

/// Calls body(i) on the device for i = 0, N, 2 N, ... below count, a multiple of N. `body` is a struct of views and
/// numbers with a __device__ operator()(std::int64_t) const.
template <int N, typename Body>
void launch_each(Session& session, const char* name, std::int64_t count, const Body& body) {
  launch(session, name, each_kernel<N, Body>,
         {dim3(static_cast<unsigned>(divided_up(divided_up(count, N), kEachThreads))), dim3(kEachThreads)}, body,
         count);
}

}  // namespace kernels::cuda
