// How attention cuts one (document, key/value head) into tiles, and the packed copies that the tile products read. Used
// by attention_forward.cpp and attention_backward.cpp only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/operations.h"
#include "kernels/cpu/tile_product.h"

namespace kernels::cpu {

inline constexpr std::int64_t kQueryRows = 48;  // a multiple of the 6 or 8 rows that tile_product keeps in registers
inline constexpr std::int64_t kKeyColumns = 256;
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

/// Asks for rows of one head of [tokens, heads, head_size] long before they are read or written: they lie too far apart
/// for the processor to guess the next one.
inline void ask_to_read(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t d = 0; d < head_size; d += 16) __builtin_prefetch(from + i * row_stride + d, 0);
  }
}
inline void ask_to_write(float* to, std::int64_t row_stride, std::int64_t count, std::int64_t head_size) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t d = 0; d < head_size; d += 16) __builtin_prefetch(to + i * row_stride + d, 1);
  }
}

/// Rows of one head out of [tokens, heads, head_size], `row_stride` apart, as [count, padded(head_size)] times factor,
/// zeros in the padding.
void pack_rows(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size, float factor,
               float* to);

/// The other way: rows of padded(head_size) times factor into one head of [tokens, heads, head_size].
void unpack_rows(const float* from, std::int64_t count, std::int64_t head_size, float factor, float* to,
                 std::int64_t row_stride);

/// The same rows transposed, in panels of 16 tokens: [padded(count) / 16, head_size, 16], zeros in the padding. Panels
/// keep the products' reads on neighbouring cache lines, which one long row per channel would not.
void pack_panels(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size, float* to);

/// One tile of scores: the queries [row, row + rows) of a document against its keys [column, column + columns).
struct ScoreTile {
  const AttentionOptions& options;
  std::int64_t length;  // of the document
  std::int64_t row, rows, column, columns;

  /// What query i of the tile sees, relative to the tile.
  KeyRange seen(std::int64_t i) const {
    const KeyRange range = visible_keys(options, row + i, length);
    return {std::clamp<std::int64_t>(range.first - column, 0, columns),
            std::clamp<std::int64_t>(range.last - column, 0, columns)};
  }
  /// How far products read row i of the tile.
  std::int64_t read(std::int64_t i) const {
    if (!options.causal) return columns;
    return std::clamp<std::int64_t>(row + i - column + kMostBlockRows, 0, columns);
  }
  /// Of a product with the tile in it.
  CausalPart part(CausalPart causal) const { return options.causal ? causal : CausalPart::kAll; }
  std::int64_t diagonal() const { return row - column; }
};

}  // namespace kernels::cpu
