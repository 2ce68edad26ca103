// One query token against a cache: bound by reading the cache, so each (sequence, key/value head) reads its keys and
// values once for all query heads of the group. Caches differ only in where a token's row lies.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/core/error.h"
#include "kernels/core/parallel.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

ANNEAL_SIMD float scaled_dot(const float* a, const float* b, std::int64_t count, float scale) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += a[i] * b[i];
  return scale * total;
}

ANNEAL_SIMD void add_scaled(const float* x, float factor, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

// Of one key/value head of one sequence: key and value of token j begin at row(j).
struct NeighbouringRows {
  const float *keys, *values;
  std::int64_t stride;
  std::int64_t row(std::int64_t j) const { return j * stride; }
};
struct PagedRows {
  const float *keys, *values;
  const std::int32_t* pages;  // of the sequence
  std::int64_t page_size, page_stride, token_stride;
  std::int64_t row(std::int64_t j) const { return pages[j / page_size] * page_stride + j % page_size * token_stride; }
};

// A sequence's query heads of one group: [group, size].
struct QueryGroup {
  const float* queries;
  float* outputs;
  std::int64_t group, size;
};

// `scores`: room for group * length floats.
template <typename Rows>
void attend(const QueryGroup& q, const Rows& rows, std::int64_t length, const AttentionOptions& options,
            float* scores) {
  const std::int64_t first =
      options.sliding_window > 0 ? std::max<std::int64_t>(0, length - options.sliding_window) : 0;
  const std::int64_t seen = length - first;
  std::fill_n(q.outputs, q.group * q.size, 0.0f);
  if (seen == 0) return;
  for (std::int64_t j = 0; j < seen; ++j) {
    const float* key = rows.keys + rows.row(first + j);
    for (std::int64_t g = 0; g < q.group; ++g)
      scores[g * seen + j] = scaled_dot(q.queries + g * q.size, key, q.size, options.scale);
  }
  if (options.softcap > 0.0f) softcap_row(scores, q.group * seen, options.softcap);
  for (std::int64_t g = 0; g < q.group; ++g) softmax_row(scores + g * seen, seen, scores + g * seen);
  for (std::int64_t j = 0; j < seen; ++j) {
    const float* value = rows.values + rows.row(first + j);
    for (std::int64_t g = 0; g < q.group; ++g) add_scaled(value, scores[g * seen + j], q.size, q.outputs + g * q.size);
  }
}

// Calls body(sequence, key head, scores) for all of them, in parallel; scores hold group * longest floats.
template <typename Body>
void each_group(Context& context, std::int64_t sequences, std::int64_t key_heads, std::int64_t group,
                std::int64_t longest, const Body& body) {
  ScratchFrame frame(context);
  const std::int64_t slot_floats = (group * longest + 15) / 16 * 16;
  float* memory = frame.floats(slot_floats * context.threads());
  parallel_tasks(context, sequences * key_heads, [&](std::int64_t index, int slot) {
    body(index / key_heads, index % key_heads, memory + slot * slot_floats);
  });
}

QueryGroup query_group(const Tensor& q, Tensor& o, std::int64_t sequence, std::int64_t key_head, std::int64_t group) {
  const std::int64_t size = q.size(2), place = (sequence * q.size(1) + key_head * group) * size;
  return {q.data<float>() + place, o.data<float>() + place, group, size};
}

void check_pages(const PagedCache& cache, std::int64_t sequence, std::int64_t first, std::int64_t last) {
  const std::int64_t width = cache.block_table->size(1);
  for (std::int64_t page = first; page < last; ++page) {
    const std::int32_t number =
        cache.block_table->values<std::int32_t>()[static_cast<std::size_t>(sequence * width + page)];
    if (number >= 0 && number < cache.keys->size(0)) continue;
    throw_invalid("paged_attention_decode", "page " + std::to_string(number) + " of sequence " +
                                                std::to_string(sequence) + " is not one of " +
                                                std::to_string(cache.keys->size(0)));
  }
}

}  // namespace

void attention_decode(Context& context, const Tensor& q, std::span<const CachedSequence> sequences,
                      const AttentionOptions& options, Tensor& o) {
  if (sequences.empty()) return;
  const std::int64_t size = q.size(2), key_heads = sequences[0].keys->size(1), group = q.size(1) / key_heads;
  std::int64_t longest = 0;
  for (const CachedSequence& sequence : sequences) longest = std::max(longest, sequence.length);
  each_group(context, static_cast<std::int64_t>(sequences.size()), key_heads, group, longest,
             [&](std::int64_t index, std::int64_t key_head, float* scores) {
               const CachedSequence& sequence = sequences[static_cast<std::size_t>(index)];
               const NeighbouringRows rows{sequence.keys->data<float>() + key_head * size,
                                           sequence.values->data<float>() + key_head * size, key_heads * size};
               attend(query_group(q, o, index, key_head, group), rows, sequence.length, options, scores);
             });
}

void paged_attention_decode(Context& context, const Tensor& q, const PagedCache& cache, const AttentionOptions& options,
                            Tensor& o) {
  const bool tokens_first = cache.layout == PageLayout::kTokensFirst;
  const std::int64_t size = q.size(2), page_size = cache.keys->size(tokens_first ? 1 : 2),
                     key_heads = cache.keys->size(tokens_first ? 2 : 1), width = cache.block_table->size(1);
  const auto lengths = cache.lengths->values<std::int32_t>();
  std::int64_t longest = 0;
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    const std::int64_t length = lengths[b];
    const std::int64_t first =
        options.sliding_window > 0 ? std::max<std::int64_t>(0, length - options.sliding_window) : 0;
    check_pages(cache, static_cast<std::int64_t>(b), first / page_size, (length + page_size - 1) / page_size);
    longest = std::max(longest, length);
  }
  const std::int64_t head_stride = tokens_first ? size : page_size * size;
  each_group(context, q.size(0), key_heads, q.size(1) / key_heads, longest,
             [&](std::int64_t sequence, std::int64_t key_head, float* scores) {
               const PagedRows rows{cache.keys->data<float>() + key_head * head_stride,
                                    cache.values->data<float>() + key_head * head_stride,
                                    cache.block_table->data<std::int32_t>() + sequence * width,
                                    page_size,
                                    page_size * key_heads * size,
                                    tokens_first ? key_heads * size : size};
               attend(query_group(q, o, sequence, key_head, q.size(1) / key_heads), rows,
                      lengths[static_cast<std::size_t>(sequence)], options, scores);
             });
}

}  // namespace kernels::cpu
