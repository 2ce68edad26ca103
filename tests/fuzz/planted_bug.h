// A fault that a target is built with to show that it would find one: a byte is read behind an allocation when the
// parser has accepted something that no seed holds. Without ANNEAL_PLANTED_BUG nothing happens. For fuzz targets only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "kernels/core/tensor.h"

namespace fuzz {

inline void planted_bug([[maybe_unused]] bool reached) {
#ifdef ANNEAL_PLANTED_BUG
  [[maybe_unused]] static volatile char seen = 0;
  if (!reached) return;
  const auto one = std::make_unique<char[]>(1);
  const volatile std::size_t behind = 1;
  seen = one[behind];
#endif
}

/// True for a tensor that is not all zeros, as those of the seeds are.
inline bool holds_something(const kernels::Tensor& tensor) {
  const auto values = tensor.values<float>();
  return std::any_of(values.begin(), values.end(), [](float value) { return value != 0.0f; });
}

}  // namespace fuzz
