// How attention cuts one (document, key/value head) into tiles, and the packed copies that the tile products read. Used
// by attention_forward.cpp and attention_backward.cpp only.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/cpu/operations.h"

namespace kernels::cpu {

inline constexpr std::int64_t kQueryRows = 48;  // a multiple of the 6 rows that tile_product keeps in registers
inline constexpr std::int64_t kKeyColumns = 128;
inline constexpr std::int64_t kScoreStride = kKeyColumns + 16;  // not a power of two: spreads the rows over the cache

constexpr std::int64_t padded(std::int64_t count) { return (count + 15) / 16 * 16; }

/// One unit of parallel work: the tokens [begin, begin + length) of a document and one key/value head.
struct HeadTask {
  std::int64_t begin, length, key_head;
};

inline HeadTask head_task(const AttentionShape& shape, std::int64_t index) {
  const auto document = static_cast<std::size_t>(index / shape.key_heads);
  const std::int64_t begin = shape.cu_seqlens[document];
  return {begin, shape.cu_seqlens[document + 1] - begin, index % shape.key_heads};
}

inline std::int64_t head_task_count(const AttentionShape& shape) {
  return (static_cast<std::int64_t>(shape.cu_seqlens.size()) - 1) * shape.key_heads;
}

inline std::int64_t longest_document(const AttentionShape& shape) {
  std::int64_t longest = 0;
  for (std::size_t i = 1; i < shape.cu_seqlens.size(); ++i) {
    longest = std::max<std::int64_t>(longest, shape.cu_seqlens[i] - shape.cu_seqlens[i - 1]);
  }
  return longest;
}

/// Keys [first, last) that query `row` of a document sees.
struct KeyRange {
  std::int64_t first, last;
};
inline KeyRange visible_keys(const AttentionOptions& options, std::int64_t row, std::int64_t length) {
  KeyRange range{0, options.causal ? row + 1 : length};
  if (options.sliding_window > 0) {
    range.first = std::max<std::int64_t>(0, row - options.sliding_window + 1);
    range.last = std::min(range.last, row + options.sliding_window);
  }
  return range;
}

/// Rows of one head out of [tokens, heads, head_size], `row_stride` apart, as [count, padded(head_size)] times factor,
/// zeros in the padding.
void pack_rows(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size, float factor,
               float* to);

/// The same rows transposed, in panels of 16 tokens: [padded(count) / 16, head_size, 16], zeros in the padding. Panels
/// keep the products' reads on neighbouring cache lines, which one long row per channel would not.
void pack_panels(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size, float* to);

/// scores = cap * tanh(scores / cap) in the columns seen.
inline void cap_scores(float* scores, KeyRange seen, float cap) {
  for (std::int64_t j = seen.first; j < seen.last; ++j) scores[j] = cap * std::tanh(scores[j] / cap);
}

/// The part of one score tile (queries from `row`, keys from `column`) that a query row sees, relative to the tile.
inline KeyRange tile_columns(const AttentionOptions& options, std::int64_t row, std::int64_t length,
                             std::int64_t column, std::int64_t columns) {
  const KeyRange seen = visible_keys(options, row, length);
  return {std::clamp<std::int64_t>(seen.first - column, 0, columns),
          std::clamp<std::int64_t>(seen.last - column, 0, columns)};
}

}  // namespace kernels::cpu
