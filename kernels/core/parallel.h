// Parallel loops of the CPU operations, on the OpenMP runtime that the matrix library uses too. The split into ranges
// depends only on the count, the grain and the thread count, so results are repeatable. Bodies must not throw.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "kernels/core/context.h"
#if defined(__SANITIZE_THREAD__)
#include <thread>
#include <vector>
#endif

namespace kernels {

/// Runs body(0) ... body(threads - 1), each on a thread of its own. The thread sanitizer does not see the OpenMP
/// runtime's barriers and would call every region a race, so that there plain threads do the work.
template <typename Body>
void parallel_region(int threads, const Body& body) {
#if defined(__SANITIZE_THREAD__)
  std::vector<std::thread> others;
  for (int slot = 1; slot < threads; ++slot) others.emplace_back([&body, slot] { body(slot); });
  body(0);
  for (std::thread& other : others) other.join();
#else
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int slot = 0; slot < threads; ++slot) body(slot);
#endif
}

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
  parallel_region(static_cast<int>(pieces),
                  [&](int piece) { body(count * piece / pieces, count * (piece + 1) / pieces); });
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
  std::atomic<std::int64_t> next{0};
  parallel_region(threads, [&](int slot) {
    for (std::int64_t index = next++; index < count; index = next++) body(index, slot);
  });
}

}  // namespace kernels
