// The product of small tiles that stay in cache, made for attention: no packing, no threads.
#pragma once

#include <cstdint>

#include "kernels/cpu/instruction_set.h"

namespace kernels::cpu {

/// The most rows that a block of a product has.
inline constexpr std::int64_t kMostBlockRows = 8;

/// What of a product is worth computing where row i of a causal score tile sees the columns j <= i + diagonal only. In
/// the tile, 0 is wanted where a row does not see, up to kMostBlockRows columns further.
enum class CausalPart {
  kAll,
  kScores,                // c is the tile: blocks that no row sees are not written
  kFromScores,            // a is the tile: where no row of a block sees, it is not read
  kFromTransposedScores,  // a is the tile transposed: the same
};

/// c (= or +=) a b with c: m x n, a(i, p) = a[i * a_row + p * a_column], b: k x n in panels of 16 columns that start
/// b_panel apart (16: a plain row-major b); n a multiple of 16. c must not overlap a or b.
struct TileProduct {
  std::int64_t m, n, k;
  const float* a;
  std::int64_t a_row, a_column;
  const float* b;
  std::int64_t b_row;
  float* c;
  std::int64_t c_row;
  bool accumulate;
  std::int64_t b_panel = 16;
  CausalPart part = CausalPart::kAll;
  std::int64_t diagonal = 0;
};

/// Each c(i, j) is one sum in the order of p, so that the sets with fused multiply-add give equal bits.
LoopVersions<TileProduct>::Loop tile_product(InstructionSet set = widest_instruction_set());

}  // namespace kernels::cpu
