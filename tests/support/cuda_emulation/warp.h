// Warp intrinsics and barriers under the names that CUDA gives them. Each returns what the manual says and refuses what
// it forbids: a lane that is not in its own mask, a lane read that is not in the mask, lanes that never come.
#pragma once

#include <bit>
#include <cstring>

#include "tests/support/cuda_emulation/execution.h"

namespace cuda_emulation {

/// The lane whose value each lane receives; out of range keeps its own.
enum class Shuffle { kIndex, kUp, kDown, kXor };
std::uint64_t shuffle(const char* call, Shuffle kind, unsigned mask, std::uint64_t value, unsigned operand, int width,
                      const Site& site);

/// Every lane's value is folded; `fold` gets them in the order of lanes.
using Fold = std::uint64_t (*)(std::uint64_t, std::uint64_t);
std::uint64_t fold_warp(const char* call, unsigned mask, std::uint64_t value, Fold fold, const Site& site);
unsigned ballot(const char* call, unsigned mask, bool predicate, const Site& site);

template <typename T>
T shuffled(const char* call, Shuffle kind, unsigned mask, T value, unsigned operand, int width, const Site& site) {
  static_assert(sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(call, kind, mask, bits, operand, width, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace cuda_emulation

using EmulationSite = cuda_emulation::Site;

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::shuffled("__shfl_sync", cuda_emulation::Shuffle::kIndex, mask, value,
                                  static_cast<unsigned>(lane), width, site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::shuffled("__shfl_up_sync", cuda_emulation::Shuffle::kUp, mask, value, delta, width, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::shuffled("__shfl_down_sync", cuda_emulation::Shuffle::kDown, mask, value, delta, width, site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::shuffled("__shfl_xor_sync", cuda_emulation::Shuffle::kXor, mask, value,
                                  static_cast<unsigned>(lanes), width, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::ballot("__ballot_sync", mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate, EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::ballot("__any_sync", mask, predicate != 0, site) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::ballot("__all_sync", mask, predicate == 0, site) == 0 ? 1 : 0;
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, EmulationSite site = EmulationSite::current()) {
  return static_cast<unsigned>(cuda_emulation::fold_warp(
      "__reduce_add_sync", mask, value,
      [](std::uint64_t a, std::uint64_t b) -> std::uint64_t { return (a + b) & 0xffffffffull; }, site));
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value, EmulationSite site = EmulationSite::current()) {
  return static_cast<unsigned>(cuda_emulation::fold_warp(
      "__reduce_min_sync", mask, value, [](std::uint64_t a, std::uint64_t b) -> std::uint64_t { return a < b ? a : b; },
      site));
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value, EmulationSite site = EmulationSite::current()) {
  return static_cast<unsigned>(cuda_emulation::fold_warp(
      "__reduce_max_sync", mask, value, [](std::uint64_t a, std::uint64_t b) -> std::uint64_t { return a > b ? a : b; },
      site));
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, EmulationSite site = EmulationSite::current()) {
  return static_cast<unsigned>(cuda_emulation::fold_warp(
      "__reduce_or_sync", mask, value, [](std::uint64_t a, std::uint64_t b) -> std::uint64_t { return a | b; }, site));
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, EmulationSite site = EmulationSite::current()) {
  return static_cast<unsigned>(cuda_emulation::fold_warp(
      "__reduce_and_sync", mask, value, [](std::uint64_t a, std::uint64_t b) -> std::uint64_t { return a & b; }, site));
}

inline void __syncwarp(unsigned mask = 0xffffffffu, EmulationSite site = EmulationSite::current()) {
  cuda_emulation::warp_wait("__syncwarp", mask, site, nullptr, nullptr, true);
}
inline void __syncthreads(EmulationSite site = EmulationSite::current()) { cuda_emulation::barrier_wait(0, 0, site); }

/// Barriers that vote: whether any thread, whether all, and how many have a predicate that is not 0.
inline int __syncthreads_count(int predicate, EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::barrier_count(predicate != 0, site);
}
inline int __syncthreads_or(int predicate, EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::barrier_count(predicate != 0, site) > 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate, EmulationSite site = EmulationSite::current()) {
  return cuda_emulation::barrier_count(predicate == 0, site) == 0 ? 1 : 0;
}

inline void __threadfence() { cuda_emulation::current_thread().fenced = true; }
inline void __threadfence_block() { cuda_emulation::current_thread().fenced = true; }
inline void __nanosleep(unsigned) { cuda_emulation::let_others_run(); }
