// Parallel loops of the CPU operations, on the OpenMP runtime that the matrix library uses too. The split into ranges
// depends only on the count, the grain and the thread count, so results are repeatable. Bodies must not throw.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/core/context.h"

namespace kernels {

/// Index of the calling thread inside the running parallel region; 0 outside.
int thread_slot();

/// Calls body(begin, end) on disjoint ranges that cover [0, count), each at least `grain` long where possible.
template <typename Body>
void parallel_for(const Context& context, std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t wanted = grain > 0 ? count / grain : count;
  const std::int64_t pieces = std::clamp<std::int64_t>(wanted, 1, context.threads());
  if (count <= 0) return;
  if (pieces == 1) {
    body(std::int64_t{0}, count);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(pieces))
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    body(count * piece / pieces, count * (piece + 1) / pieces);
  }
}

/// Calls body(index, slot) for every index in [0, count), handing indices out as threads become free; `slot` in
/// [0, threads) names the thread's private workspace. The body's result must not depend on the slot.
template <typename Body>
void parallel_tasks(const Context& context, std::int64_t count, const Body& body) {
  if (count <= 0) return;
  const int threads = static_cast<int>(std::min<std::int64_t>(count, context.threads()));
  if (threads == 1) {
    for (std::int64_t index = 0; index < count; ++index) body(index, 0);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const int slot = thread_slot();
#pragma omp for schedule(dynamic, 1)
    for (std::int64_t index = 0; index < count; ++index) body(index, slot);
  }
}

}  // namespace kernels
