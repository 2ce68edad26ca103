// multiply_tile(): a product of two tiles in shared memory, added to fragments in registers. Tensor cores for 16-bit
// types; plain float32 arithmetic, in the same layout, for float32.
#pragma once

#include "kernels/cuda/numeric.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/tensor_core.h"

namespace kernels::cuda {

/// Elements from one row of a tile of `columns` to the next: rows stay aligned to 16 bytes, and the eight rows of an
/// ldmatrix lie in different banks. `columns` is a multiple of 16.
template <typename T>
constexpr int tile_stride(int columns) {
  return columns + 16 / static_cast<int>(sizeof(T));
}

/// Where this lane's four elements of a 16 x 8 fragment lie (tensor_core.h): element i.
struct FragmentPlace {
  int row, column;
};
__device__ inline FragmentPlace fragment_place(int i) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  return {lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2};
}

/// A tile in shared memory. kTransposed: what counts as its rows lies along the stored columns.
template <typename T>
struct Tile {
  SharedArray<T> elements;
  int stride;
};

/// sum += left right: this warp's 16 rows of left, from `first_row` on, times all 8 * kFragments columns of right.
/// left: [rows, depth], or stored [depth, rows] when transposed; right: stored [columns, depth], or [depth, columns]
/// when transposed; depth and kFragments * 8 multiples of 16. All lanes call together.
template <bool kLeftTransposed, bool kRightTransposed, int kFragments, typename T>
__device__ inline void multiply_tile(float (&sum)[kFragments][4], const Tile<T>& left, int first_row,
                                     const Tile<T>& right, int depth) {
  static_assert(kFragments % 2 == 0);
  if constexpr (sizeof(T) == 2) {
    const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
    const int inner = lane % 8, second = lane / 8 % 2 * 8, fourth = lane / 16 * 8;
    for (int k = 0; k < depth; k += 16) {
      std::uint32_t a[4];
      ldmatrix<kLeftTransposed>(a, left.elements,
                                kLeftTransposed ? (k + inner + fourth) * left.stride + first_row + second
                                                : (first_row + inner + second) * left.stride + k + fourth);
#pragma unroll
      for (int f = 0; f < kFragments; f += 2) {
        std::uint32_t b[4];
        ldmatrix<kRightTransposed>(b, right.elements,
                                   kRightTransposed ? (k + inner + second) * right.stride + 8 * f + fourth
                                                    : (8 * f + inner + fourth) * right.stride + k + second);
        const std::uint32_t first[2] = {b[0], b[1]}, next[2] = {b[2], b[3]};
        mma_m16n8k16<T>(sum[f], a, first, sum[f]);
        mma_m16n8k16<T>(sum[f + 1], a, next, sum[f + 1]);
      }
    }
  } else {
    const FragmentPlace place = fragment_place(0);
    for (int k = 0; k < depth; ++k) {
      float a[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = first_row + place.row + 8 * i;
        a[i] = left.elements.load(kLeftTransposed ? k * left.stride + row : row * left.stride + k);
      }
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int column = 8 * f + place.column + i;
          const float b = right.elements.load(kRightTransposed ? k * right.stride + column : column * right.stride + k);
          sum[f][i] += a[0] * b;
          sum[f][i + 2] += a[1] * b;
        }
      }
    }
  }
}

}  // namespace kernels::cuda
