// A register-blocked product for tiles that stay in cache: up to 6 rows by 16 columns of c are held in registers while
// k runs. Written with compiler vectors of 8 floats, which lower to whatever the instruction set has.
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

typedef float Lanes __attribute__((vector_size(32), aligned(4), may_alias));

constexpr std::int64_t kPanel = 16;

ANNEAL_INLINE Lanes load(const float* from) { return *reinterpret_cast<const Lanes*>(from); }
ANNEAL_INLINE void store(float* to, Lanes value) { *reinterpret_cast<Lanes*>(to) = value; }

// Rows [row, row + kRows) of c in one panel of 16 columns.
template <int kRows>
ANNEAL_INLINE void block(const TileProduct& t, std::int64_t row, std::int64_t column) {
  Lanes sums[kRows][2];
  for (int i = 0; i < kRows; ++i) {
    float* c = t.c + (row + i) * t.c_row + column;
    sums[i][0] = t.accumulate ? load(c) : Lanes{};
    sums[i][1] = t.accumulate ? load(c + 8) : Lanes{};
  }
  const float* a = t.a + row * t.a_row;
  const float* b = t.b + column / kPanel * t.b_panel;
  for (std::int64_t p = 0; p < t.k; ++p, a += t.a_column, b += t.b_row) {
    const Lanes left = load(b), right = load(b + 8);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const float factor = a[i * t.a_row];
      sums[i][0] += factor * left;
      sums[i][1] += factor * right;
    }
  }
  for (int i = 0; i < kRows; ++i) {
    float* c = t.c + (row + i) * t.c_row + column;
    store(c, sums[i][0]);
    store(c + 8, sums[i][1]);
  }
}

}  // namespace

ANNEAL_SIMD void tile_product(const TileProduct& product) {
  const TileProduct t = product;
  for (std::int64_t column = 0; column < t.n; column += kPanel) {
    std::int64_t row = 0;
    for (; row + 6 <= t.m; row += 6) block<6>(t, row, column);
    switch (t.m - row) {
      case 5: block<5>(t, row, column); break;
      case 4: block<4>(t, row, column); break;
      case 3: block<3>(t, row, column); break;
      case 2: block<2>(t, row, column); break;
      case 1: block<1>(t, row, column); break;
      default: break;
    }
  }
}

}  // namespace kernels::cpu
