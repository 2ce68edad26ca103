// Blocks of c are held in registers while k runs. Written with compiler vectors; how large a block is follows from the
// registers of the instruction set: 8 rows by 2 vectors of 16 out of 32, 6 rows by 2 vectors of 8 or 4 out of 16.
#include "kernels/cpu/tile_product.h"

#include <algorithm>

#include "kernels/cpu/vector_lanes.h"

namespace kernels::cpu {
namespace {

constexpr std::int64_t kPanel = 16;

// The terms [first, last) of the sums of a block of rows.
struct Terms {
  std::int64_t first, last;
};

ANNEAL_INLINE Terms terms_of(const TileProduct& t, std::int64_t row, std::int64_t rows) {
  if (t.part == CausalPart::kFromScores) return {0, std::clamp<std::int64_t>(row + rows + t.diagonal, 0, t.k)};
  if (t.part == CausalPart::kFromTransposedScores) return {std::clamp<std::int64_t>(row - t.diagonal, 0, t.k), t.k};
  return {0, t.k};
}

// Rows [row, row + kRows) of c and kVectors vectors of columns.
template <int kLanes, int kVectors, int kRows>
ANNEAL_INLINE void block(const TileProduct& t, std::int64_t row, std::int64_t column) {
  const Terms terms = terms_of(t, row, kRows);
  const float* a = t.a + row * t.a_row + terms.first * t.a_column;
  const float* b[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const std::int64_t place = column + v * kLanes;
    b[v] = t.b + place / kPanel * t.b_panel + place % kPanel + terms.first * t.b_row;
  }
  float* c = t.c + row * t.c_row + column;
  Floats<kLanes> sums[kRows][kVectors];
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      sums[i][v] = t.accumulate ? load_lanes<kLanes>(c + i * t.c_row + v * kLanes) : Floats<kLanes>{};
  }
  for (std::int64_t p = terms.first; p < terms.last; ++p, a += t.a_column) {
    Floats<kLanes> right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      right[v] = load_lanes<kLanes>(b[v]);
      b[v] += t.b_row;
    }
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const float factor = a[i * t.a_row];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[i][v] += factor * right[v];
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store_lanes<kLanes>(c + i * t.c_row + v * kLanes, sums[i][v]);
  }
}

template <int kLanes, int kVectors, int kRows>
ANNEAL_INLINE void blocks_of(const TileProduct& t, std::int64_t column, std::int64_t& row) {
  for (; row + kRows <= t.m; row += kRows) {
    const std::int64_t seen = t.part == CausalPart::kScores ? row + kRows + t.diagonal - column : kVectors * kLanes;
    if (seen <= 0) continue;
    if (kVectors > 1 && seen <= kLanes)
      block<kLanes, 1, kRows>(t, row, column);
    else
      block<kLanes, kVectors, kRows>(t, row, column);
  }
}

// All rows of kVectors vectors of columns; blocks of 8 or 6 rows, smaller ones for what is left.
template <int kLanes, int kVectors, int kMostRows>
ANNEAL_INLINE void all_rows(const TileProduct& t, std::int64_t column) {
  std::int64_t row = 0;
  blocks_of<kLanes, kVectors, kMostRows>(t, column, row);
  if constexpr (kMostRows > 8) blocks_of<kLanes, kVectors, 8>(t, column, row);
  blocks_of<kLanes, kVectors, 4>(t, column, row);
  blocks_of<kLanes, kVectors, 2>(t, column, row);
  blocks_of<kLanes, kVectors, 1>(t, column, row);
}

template <int kLanes, int kVectors, int kMostRows>
ANNEAL_INLINE void all_columns(const TileProduct& given) {
  const TileProduct t = given;
  constexpr std::int64_t kStep = kLanes * kVectors;
  std::int64_t column = 0;
  for (; column + kStep <= t.n; column += kStep) all_rows<kLanes, kVectors, kMostRows>(t, column);
  if constexpr (kStep > kPanel) {
    for (; column < t.n; column += kPanel) all_rows<kLanes, kPanel / kLanes, kMostRows>(t, column);
  }
}

static_assert(kMostBlockRows == 8);
void baseline(const TileProduct& t) { all_columns<4, 2, 6>(t); }
ANNEAL_AVX2 void avx2(const TileProduct& t) { all_columns<8, 2, 6>(t); }
ANNEAL_AVX512 void avx512(const TileProduct& t) { all_columns<16, 2, 8>(t); }

}  // namespace

LoopVersions<TileProduct>::Loop tile_product(InstructionSet set) {
  return LoopVersions<TileProduct>{baseline, avx2, avx512}.of(set);
}

}  // namespace kernels::cpu
