// add_column_sums(): sums over rows, one for every channel, always added in the same order: splits of rows by blocks
// first, then the splits in order. What the gradients of biases, scales and norms are.
#pragma once

#include <algorithm>

#include "kernels/core/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"

namespace kernels::cuda {

inline constexpr int kSumColumns = 32, kSumRows = 8;  // of a block

// partial[s, c] = sum of term(n, c) over the rows n of split s.
template <typename Term>
__global__ void __launch_bounds__(kSumColumns* kSumRows)
    column_sums_kernel(Term term, GlobalView<float> partial, std::int64_t rows, std::int64_t channels,
                       std::int64_t rows_per_split) {
  SharedMemory shared;
  const SharedArray<float> sums = shared.array<float>(kSumColumns * kSumRows);
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * kSumColumns + threadIdx.x;
  const std::int64_t begin = blockIdx.y * rows_per_split, end = min(rows, begin + rows_per_split);
  float total = 0.0f;
  if (c < channels) {
    for (std::int64_t n = begin + threadIdx.y; n < end; n += kSumRows) total += term(n, c);
  }
  sums[threadIdx.y * kSumColumns + threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y != 0 || c >= channels) return;
  for (int row = 1; row < kSumRows; ++row) total += sums.load(row * kSumColumns + static_cast<int>(threadIdx.x));
  partial[blockIdx.y * channels + c] = total;
}

static __global__ void add_partial_sums_kernel(GlobalView<const float> partial, GlobalView<float> total,
                                               std::int64_t splits, std::int64_t channels, float factor) {
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  float sum = 0.0f;
  for (std::int64_t s = 0; s < splits; ++s) sum += partial.load(s * channels + c);
  total[c] += factor * sum;
}

/// total[c] += factor * sum over n < rows of term(n, c). `term` is a struct with a __device__ float
/// operator()(std::int64_t n, std::int64_t c) const; `total` holds `channels` elements.
template <typename Term>
void add_column_sums(Context& context, const char* name, std::int64_t rows, std::int64_t channels, const Term& term,
                     const GlobalView<float>& total, float factor = 1.0f) {
  constexpr std::int64_t kMostSplits = 64, kFewestRows = 64, kThreads = 256;
  const std::int64_t rows_per_split = std::max(kFewestRows, divided_up(rows, kMostSplits));
  const std::int64_t splits = divided_up(rows, rows_per_split);
  if (splits == 0 || channels == 0) return;
  ScratchFrame frame(context);
  const GlobalView<float> partial(frame.floats(splits * channels), splits * channels);
  const LaunchShape shape{dim3(static_cast<unsigned>(divided_up(channels, kSumColumns)), static_cast<unsigned>(splits)),
                          dim3(kSumColumns, kSumRows), SharedPlan().array<float>(kSumColumns * kSumRows).bytes()};
  launch(context.cuda_session(), name, column_sums_kernel<Term>, shape, term, partial, rows, channels, rows_per_split);
  launch(context.cuda_session(), name, add_partial_sums_kernel,
         {dim3(static_cast<unsigned>(divided_up(channels, kThreads))), dim3(kThreads)}, partial, total, splits,
         channels, factor);
}

}  // namespace kernels::cuda
