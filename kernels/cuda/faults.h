// Faults: what a kernel finds wrong in values that the host has not seen (an id outside of its table). The kernel notes
// the first one and goes on without touching memory out of range; the next synchronisation throws it. So no operation
// waits for the device only to check its input.
#pragma once

#include <cstdint>

#include "kernels/cuda/view.h"

namespace kernels::cuda {

/// Each has its words in faults.cu.
enum class Fault : std::int32_t { kNone, kRowIndex, kTarget, kTokenId, kSequences, kCacheLength, kPage, kNoLogit };

/// [0] the fault, [1] the value, [2] the bound that it missed.
inline constexpr std::int64_t kFaultWords = 3;
using FaultView = GlobalView<std::int32_t>;

/// Notes a fault unless one is noted already.
__device__ inline void note_fault(const FaultView& faults, Fault fault, std::int64_t value, std::int64_t bound) {
  if (faults.atomic_replace(0, 0, static_cast<std::int32_t>(fault)) != 0) return;
  faults[1] = static_cast<std::int32_t>(value);
  faults[2] = static_cast<std::int32_t>(bound);
}

/// Throws std::invalid_argument with the fault's words; `operations` is what ran.
[[noreturn]] void throw_fault(Fault fault, std::int64_t value, std::int64_t bound);

}  // namespace kernels::cuda
