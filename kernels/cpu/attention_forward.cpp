// Forward attention with the online softmax: for a block of queries the key tiles are visited in order, keeping per
// query the running maximum m, the running sum l of exp(score - m) and the running output, rescaled whenever m grows.
#include <cmath>
#include <limits>

#include "kernels/core/parallel.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// One thread's buffers.
struct ForwardBuffers {
  float *keys_panels, *values, *queries, *scores, *output, *maximum, *sum;

  static std::int64_t floats(std::int64_t longest, std::int64_t head_size) {
    const std::int64_t width = padded(head_size);
    return head_size * padded(longest) + longest * width + kQueryRows * (2 * width + kScoreStride) + 2 * kQueryRows +
           64;
  }
  ForwardBuffers(float* memory, std::int64_t longest, std::int64_t head_size) {
    const std::int64_t width = padded(head_size);
    keys_panels = memory;
    values = keys_panels + head_size * padded(longest);
    queries = values + longest * width;
    output = queries + kQueryRows * width;
    scores = output + kQueryRows * width;
    maximum = scores + kQueryRows * kScoreStride;
    sum = maximum + kQueryRows;
  }
};

// Turns one row of scores into exp(score - m), zero outside `seen`, and updates m, l and the row's output.
ANNEAL_SIMD void absorb_row(float* scores, std::int64_t columns, KeyRange seen, float& maximum, float& sum,
                            float* output, std::int64_t width) {
  if (seen.first >= seen.last) {
    for (std::int64_t j = 0; j < columns; ++j) scores[j] = 0.0f;
    return;
  }
  float highest = maximum;
#pragma omp simd reduction(max : highest)
  for (std::int64_t j = seen.first; j < seen.last; ++j) highest = highest < scores[j] ? scores[j] : highest;
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t j = seen.first; j < seen.last; ++j) {
    scores[j] = fast_exp(scores[j] - highest);
    total += scores[j];
  }
  for (std::int64_t j = 0; j < seen.first; ++j) scores[j] = 0.0f;
  for (std::int64_t j = seen.last; j < columns; ++j) scores[j] = 0.0f;
  if (highest > maximum) {
    const float shrink = fast_exp(maximum - highest);
    for (std::int64_t d = 0; d < width; ++d) output[d] *= shrink;
    sum *= shrink;
    maximum = highest;
  }
  sum += total;
}

ANNEAL_SIMD void finish_row(const float* output, float sum, std::int64_t head_size, float* o) {
  const float inverse = 1.0f / sum;
  for (std::int64_t d = 0; d < head_size; ++d) o[d] = output[d] * inverse;
}

// The queries [first, last) of one head of the task against all keys they see.
void query_block(const AttentionShape& shape, const AttentionOptions& options, const HeadTask& task, std::int64_t first,
                 std::int64_t last, const ForwardBuffers& buffers) {
  const std::int64_t width = padded(shape.head_size), rows = last - first;
  std::fill_n(buffers.output, rows * width, 0.0f);
  std::fill_n(buffers.maximum, rows, kMinusInfinity);
  std::fill_n(buffers.sum, rows, 0.0f);
  const std::int64_t begin = visible_keys(options, first, task.length).first / kKeyColumns * kKeyColumns;
  const std::int64_t end = visible_keys(options, last - 1, task.length).last;
  for (std::int64_t column = begin; column < end; column += kKeyColumns) {
    const std::int64_t columns = std::min(kKeyColumns, end - column);
    tile_product({rows, padded(columns), shape.head_size, buffers.queries, width, 1,
                  buffers.keys_panels + column * shape.head_size, 16, buffers.scores, kScoreStride, false,
                  shape.head_size * 16});
    for (std::int64_t i = 0; i < rows; ++i) {
      const KeyRange seen = tile_columns(options, first + i, task.length, column, columns);
      if (options.softcap > 0.0f) cap_scores(buffers.scores + i * kScoreStride, seen, options.softcap);
      absorb_row(buffers.scores + i * kScoreStride, columns, seen, buffers.maximum[i], buffers.sum[i],
                 buffers.output + i * width, width);
    }
    tile_product({rows, width, columns, buffers.scores, kScoreStride, 1, buffers.values + column * width, width,
                  buffers.output, width, true});
  }
}

void head_forward(const AttentionShape& shape, const AttentionOptions& options, const AttentionInputs& in,
                  const HeadTask& task, const ForwardBuffers& buffers, float* o, float* lse) {
  const std::int64_t size = shape.head_size, width = padded(size), group = shape.heads / shape.key_heads;
  const std::int64_t query_stride = shape.heads * size, key_stride = shape.key_heads * size;
  const std::int64_t key_offset = task.begin * key_stride + task.key_head * size;
  pack_panels(in.k + key_offset, key_stride, task.length, size, buffers.keys_panels);
  pack_rows(in.v + key_offset, key_stride, task.length, size, 1.0f, buffers.values);
  for (std::int64_t head = task.key_head * group; head < (task.key_head + 1) * group; ++head) {
    for (std::int64_t first = 0; first < task.length; first += kQueryRows) {
      const std::int64_t last = std::min(first + kQueryRows, task.length), token = task.begin + first;
      const std::int64_t query_offset = token * query_stride + head * size;
      pack_rows(in.q + query_offset, query_stride, last - first, size, options.scale, buffers.queries);
      query_block(shape, options, task, first, last, buffers);
      for (std::int64_t i = 0; i < last - first; ++i) {
        finish_row(buffers.output + i * width, buffers.sum[i], size, o + query_offset + i * query_stride);
        lse[(token + i) * shape.heads + head] = buffers.maximum[i] + std::log(buffers.sum[i]);
      }
    }
  }
}

}  // namespace

void attention_forward(Context& context, const AttentionShape& shape, const AttentionOptions& options,
                       const AttentionInputs& in, float* o, float* lse) {
  const std::int64_t longest = longest_document(shape);
  const std::int64_t slot_floats = padded(ForwardBuffers::floats(longest, shape.head_size));
  ScratchFrame frame(context);
  float* memory = frame.floats(slot_floats * context.threads());
  parallel_tasks(context, head_task_count(shape), [&](std::int64_t index, int slot) {
    const ForwardBuffers buffers(memory + slot * slot_floats, longest, shape.head_size);
    head_forward(shape, options, in, head_task(shape, index), buffers, o, lse);
  });
}

}  // namespace kernels::cpu
