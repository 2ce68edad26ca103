#include "kernels/cpu/tile_product.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/reference.h"
#include "tests/support/op_case.h"

namespace kernels::cpu {
namespace {

using test_support::expect_close;
using test_support::random_tensor;
using test_support::same_bits;
using test_support::to_doubles;

Tensor transposed(const Tensor& x) {
  Tensor y({x.size(1), x.size(0)});
  for (std::int64_t i = 0; i < x.count(); ++i)
    y.data<float>()[i % x.size(1) * x.size(0) + i / x.size(1)] = x.data<float>()[i];
  return y;
}

// a b, or a b + c.
Tensor definition(const Tensor& a, const Tensor& b, const Tensor& c, bool accumulate) {
  Tensor expected = c.clone();
  reference::gemm(false, false, a.size(0), b.size(1), a.size(1), 1.0f, a.data<float>(), a.size(1), b.data<float>(),
                  b.size(1), accumulate ? 1.0f : 0.0f, expected.data<float>(), b.size(1));
  return expected;
}

// The same columns in panels of 16.
Tensor panels_of(const Tensor& b) {
  Tensor panels({b.size(1) / 16, b.size(0), 16});
  for (std::int64_t p = 0; p < b.size(0); ++p) {
    for (std::int64_t j = 0; j < b.size(1); ++j)
      panels.data<float>()[(j / 16 * b.size(0) + p) * 16 + j % 16] = b.data<float>()[p * b.size(1) + j];
  }
  return panels;
}

TEST(TileProduct, EqualsTheDefinitionForEveryRowCountStrideAndInstructionSet) {
  for (const InstructionSet set : instruction_sets()) {
    for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 23, 48, 53}) {
      for (const std::int64_t n : {16, 32, 48}) {
        const std::int64_t k = 19;
        const Tensor a = random_tensor({m, k}, 1), across = transposed(a), b = random_tensor({k, n}, 2);
        const Tensor panels = panels_of(b), before = random_tensor({m, n}, 3);
        const std::string name = name_of(set) + (" " + std::to_string(m)) + " rows";
        for (const bool accumulate : {true, false}) {
          const Tensor expected = definition(a, b, before, accumulate);
          Tensor by_rows = before.clone(), by_columns = before.clone(), from_panels = before.clone();
          tile_product(set)({m, n, k, a.data<float>(), k, 1, b.data<float>(), n, by_rows.data<float>(), n, accumulate});
          tile_product(set)(
              {m, n, k, across.data<float>(), 1, m, b.data<float>(), n, by_columns.data<float>(), n, accumulate});
          tile_product(set)({m, n, k, a.data<float>(), k, 1, panels.data<float>(), 16, from_panels.data<float>(), n,
                             accumulate, k * 16});
          expect_close(to_doubles(by_rows), to_doubles(expected), 1e-5, name);
          EXPECT_TRUE(same_bits(by_rows, by_columns)) << name;
          EXPECT_TRUE(same_bits(by_rows, from_panels)) << name;
        }
      }
    }
  }
}

TEST(TileProduct, HasEqualBitsOnEverySetWithFusedMultiplyAdd) {
  if (instruction_sets().size() < 3) GTEST_SKIP() << "this processor has no two such sets";
  const Tensor a = random_tensor({29, 70}, 1), b = random_tensor({70, 48}, 2);
  Tensor narrow({29, 48}), wide({29, 48});
  tile_product(InstructionSet::kAvx2)(
      {29, 48, 70, a.data<float>(), 70, 1, b.data<float>(), 48, narrow.data<float>(), 48, false});
  tile_product(InstructionSet::kAvx512)(
      {29, 48, 70, a.data<float>(), 70, 1, b.data<float>(), 48, wide.data<float>(), 48, false});
  EXPECT_TRUE(same_bits(narrow, wide));
}

// A tile of scores whose row i sees the columns j <= i + diagonal; what nobody may read is NaN.
Tensor causal_scores(std::int64_t rows, std::int64_t columns, std::int64_t diagonal, float unread) {
  Tensor scores = random_tensor({rows, columns}, 4);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t seen = std::clamp<std::int64_t>(i + diagonal + 1, 0, columns);
    const std::int64_t read = std::clamp<std::int64_t>(i + diagonal + kMostBlockRows, 0, columns);
    std::fill(scores.data<float>() + i * columns + seen, scores.data<float>() + i * columns + read, 0.0f);
    std::fill(scores.data<float>() + i * columns + read, scores.data<float>() + (i + 1) * columns, unread);
  }
  return scores;
}

class CausalTileProduct : public testing::TestWithParam<std::int64_t> {};  // the diagonal
INSTANTIATE_TEST_SUITE_P(Diagonals, CausalTileProduct, testing::Values(-60, -33, -5, 0, 1, 7, 16, 31, 40, 64, 200));

TEST_P(CausalTileProduct, WritesEveryScoreThatIsSeen) {
  const std::int64_t rows = 45, columns = 80, size = 21, diagonal = GetParam();
  const Tensor a = random_tensor({rows, size}, 1), b = random_tensor({size, columns}, 2);
  const Tensor expected = definition(a, b, random_tensor({rows, columns}, 3), false);
  for (const InstructionSet set : instruction_sets()) {
    Tensor c = random_tensor({rows, columns}, 3);
    tile_product(set)({rows, columns, size, a.data<float>(), size, 1, b.data<float>(), columns, c.data<float>(),
                       columns, false, 16, CausalPart::kScores, diagonal});
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j <= std::min(i + diagonal, columns - 1); ++j)
        ASSERT_NEAR(c.data<float>()[i * columns + j], expected.data<float>()[i * columns + j], 1e-5) << name_of(set);
    }
  }
}

TEST_P(CausalTileProduct, ReadsNoScoreFarBeyondTheDiagonal) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const std::int64_t rows = 45, columns = 75, width = 48, diagonal = GetParam();
  const Tensor tile = causal_scores(rows, columns, diagonal, kNaN),
               clean = causal_scores(rows, columns, diagonal, 0.0f);
  const Tensor values = random_tensor({columns, width}, 1), queries = random_tensor({rows, width}, 2);
  const Tensor before = random_tensor({rows, width}, 3), before_keys = random_tensor({columns, width}, 4);
  for (const InstructionSet set : instruction_sets()) {
    for (const bool accumulate : {true, false}) {
      Tensor output = before.clone(), keys = before_keys.clone();
      tile_product(set)({rows, width, columns, tile.data<float>(), columns, 1, values.data<float>(), width,
                         output.data<float>(), width, accumulate, 16, CausalPart::kFromScores, diagonal});
      tile_product(set)({columns, width, rows, tile.data<float>(), 1, columns, queries.data<float>(), width,
                         keys.data<float>(), width, accumulate, 16, CausalPart::kFromTransposedScores, diagonal});
      expect_close(to_doubles(output), to_doubles(definition(clean, values, before, accumulate)), 1e-5, name_of(set));
      expect_close(to_doubles(keys), to_doubles(definition(transposed(clean), queries, before_keys, accumulate)), 1e-5,
                   name_of(set));
    }
  }
}

}  // namespace
}  // namespace kernels::cpu
