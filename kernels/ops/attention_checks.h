// What all forms of attention refuse alike. For the sources of ops/attention.h and ops/paged_attention.h.
#pragma once

#include <limits>

#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/ops/attention.h"

namespace kernels {

inline void check_heads(const char* operation, const Tensor& q, std::int64_t key_heads) {
  if (key_heads > 0 && q.size(1) % key_heads == 0) return;
  throw_invalid(operation, "q " + shape_to_string(q.shape()) + " has heads that do not share " +
                               std::to_string(key_heads) + " key heads evenly");
}

inline void check_attention_options(const char* operation, const AttentionOptions& options) {
  if (options.sliding_window < 0)
    throw_invalid(operation, "sliding_window " + std::to_string(options.sliding_window) + " is negative");
  if (!(options.softcap >= 0.0f))
    throw_invalid(operation, "softcap " + std::to_string(options.softcap) + " is negative");
}

/// What the kernels of a device can hold.
inline void check_device_limits(const char* operation, const Context& context, const Tensor& q) {
  constexpr std::int64_t kLargestHead = 256, kMostHeads = 65535;
  if (!context.is_cuda()) return;
  if (q.size(2) > kLargestHead) {
    throw_invalid(operation, "q " + shape_to_string(q.shape()) + ": heads of more than " +
                                 std::to_string(kLargestHead) + " have no CUDA kernel; compute on the CPU");
  }
  if (q.size(1) > kMostHeads || q.size(0) > std::numeric_limits<std::int32_t>::max() / 2)
    throw_invalid(operation, "q " + shape_to_string(q.shape()) + " is too large for one call; split the batch");
}

}  // namespace kernels
