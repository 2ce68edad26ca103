// Operations on many tensors at once: adapters are hundreds of small tensors, so that a launch takes many of them.
// Their list travels with the arguments of the kernel, and blocks share the pieces of all tensors.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/numeric.h"

namespace kernels::cuda {

inline constexpr std::int64_t kPieceElements = 4096;
inline constexpr int kTensorsPerLaunch = 48;  // arguments of a kernel are at most 4 KiB

/// Item has `first_piece`, counted in this launch.
template <typename Item>
struct TensorList {
  Item list[kTensorsPerLaunch];
  int count;

  /// The item that the block's piece belongs to.
  __device__ const Item& of_block(std::int64_t block) const {
    int t = 0;
    while (t + 1 < count && list[t + 1].first_piece <= block) ++t;
    return list[t];
  }
};

/// Calls body(first, count, pieces) for groups of tensors that fit one launch. count_of(t): elements of tensor t.
template <typename CountOf, typename Body>
void in_groups(std::size_t tensors, const CountOf& count_of, const Body& body) {
  for (std::size_t first = 0; first < tensors; first += kTensorsPerLaunch) {
    const std::size_t count = std::min<std::size_t>(kTensorsPerLaunch, tensors - first);
    std::int64_t pieces = 0;
    for (std::size_t t = first; t < first + count; ++t) pieces += divided_up(count_of(t), kPieceElements);
    if (pieces > 0) body(first, count, pieces);
  }
}

}  // namespace kernels::cuda
