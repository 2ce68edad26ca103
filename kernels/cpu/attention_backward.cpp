// Backward attention. Per score tile, with P = exp(S - lse) made again and delta = sum(dO o):
//   dV += P^T dO;   dS = P (dO V^T - delta) scale;   dQ += dS K;   dK += dS^T Q.
// With a soft-cap, S = cap tanh(s / cap) and dS is multiplied by 1 - (S / cap)^2.
// A task owns one document and key/value head, and with it the rows of dk and dv, so nothing is summed across threads.
#include "kernels/core/parallel.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

// One thread's buffers. Rows are padded(head_size) wide.
struct BackwardBuffers {
  float *keys_panels, *values_panels, *keys, *dk, *dv;               // of the whole document
  float *queries, *d_output, *dq, *scores, *d_scores, *lse, *delta;  // of one block of queries

  static std::int64_t floats(std::int64_t longest, std::int64_t head_size) {
    const std::int64_t width = padded(head_size);
    return 2 * head_size * padded(longest) + 3 * longest * width + kQueryRows * (3 * width + 2 * kScoreStride + 2) + 64;
  }
  BackwardBuffers(float* memory, std::int64_t longest, std::int64_t head_size) {
    const std::int64_t width = padded(head_size);
    auto take = [&memory](std::int64_t count) {
      float* start = memory;
      memory += count;
      return start;
    };
    keys_panels = take(head_size * padded(longest));
    values_panels = take(head_size * padded(longest));
    keys = take(longest * width);
    dk = take(longest * width);
    dv = take(longest * width);
    queries = take(kQueryRows * width);
    d_output = take(kQueryRows * width);
    dq = take(kQueryRows * width);
    scores = take(kQueryRows * kScoreStride);
    d_scores = take(kQueryRows * kScoreStride);
    lse = take(kQueryRows);
    delta = take(kQueryRows);
  }
};

ANNEAL_SIMD void probabilities_row(float* scores, std::int64_t columns, KeyRange seen, float scale, float lse) {
  for (std::int64_t j = 0; j < seen.first; ++j) scores[j] = 0.0f;
  for (std::int64_t j = seen.first; j < seen.last; ++j) scores[j] = fast_exp(scale * scores[j] - lse);
  for (std::int64_t j = std::max(seen.first, seen.last); j < columns; ++j) scores[j] = 0.0f;
}

ANNEAL_SIMD void score_gradient_row(const float* probabilities, std::int64_t columns, float delta, float scale,
                                    float* d_scores) {
  for (std::int64_t j = 0; j < columns; ++j) d_scores[j] = probabilities[j] * (d_scores[j] - delta) * scale;
}

// The same two with a soft-cap: scores become probabilities, and the gradient of the uncapped scores.
void capped_rows(float* scores, std::int64_t columns, KeyRange seen, const AttentionOptions& options, float lse,
                 float delta, float* d_scores) {
  for (std::int64_t j = 0; j < columns; ++j) {
    if (j < seen.first || j >= seen.last) {
      scores[j] = d_scores[j] = 0.0f;
      continue;
    }
    const float bent = std::tanh(options.scale * scores[j] / options.softcap);
    scores[j] = fast_exp(options.softcap * bent - lse);
    d_scores[j] = scores[j] * (d_scores[j] - delta) * options.scale * (1.0f - bent * bent);
  }
}

ANNEAL_SIMD float dot_rows(const float* a, const float* b, std::int64_t count) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += a[i] * b[i];
  return total;
}

void query_block(const AttentionShape& shape, const AttentionOptions& options, const HeadTask& task, std::int64_t first,
                 std::int64_t last, const BackwardBuffers& buffers) {
  const std::int64_t size = shape.head_size, width = padded(size), rows = last - first;
  std::fill_n(buffers.dq, rows * width, 0.0f);
  const std::int64_t begin = visible_keys(options, first, task.length).first / kKeyColumns * kKeyColumns;
  const std::int64_t end = visible_keys(options, last - 1, task.length).last;
  for (std::int64_t column = begin; column < end; column += kKeyColumns) {
    const std::int64_t columns = std::min(kKeyColumns, end - column);
    tile_product({rows, padded(columns), size, buffers.queries, width, 1,
                  buffers.keys_panels + column * shape.head_size, 16, buffers.scores, kScoreStride, false,
                  shape.head_size * 16});
    tile_product({rows, padded(columns), size, buffers.d_output, width, 1,
                  buffers.values_panels + column * shape.head_size, 16, buffers.d_scores, kScoreStride, false,
                  shape.head_size * 16});
    for (std::int64_t i = 0; i < rows; ++i) {
      float* probabilities = buffers.scores + i * kScoreStride;
      const KeyRange seen = tile_columns(options, first + i, task.length, column, columns);
      if (options.softcap > 0.0f) {
        capped_rows(probabilities, columns, seen, options, buffers.lse[i], buffers.delta[i],
                    buffers.d_scores + i * kScoreStride);
        continue;
      }
      probabilities_row(probabilities, columns, seen, options.scale, buffers.lse[i]);
      score_gradient_row(probabilities, columns, buffers.delta[i], options.scale, buffers.d_scores + i * kScoreStride);
    }
    tile_product({columns, width, rows, buffers.scores, 1, kScoreStride, buffers.d_output, width,
                  buffers.dv + column * width, width, true});
    tile_product({rows, width, columns, buffers.d_scores, kScoreStride, 1, buffers.keys + column * width, width,
                  buffers.dq, width, true});
    tile_product({columns, width, rows, buffers.d_scores, 1, kScoreStride, buffers.queries, width,
                  buffers.dk + column * width, width, true});
  }
}

// Copies rows [begin, begin + count) of a packed gradient back into one head of [tokens, heads, head_size].
void unpack_rows(const float* from, std::int64_t count, std::int64_t head_size, float* to, std::int64_t row_stride) {
  for (std::int64_t i = 0; i < count; ++i) std::copy_n(from + i * padded(head_size), head_size, to + i * row_stride);
}

void head_backward(const AttentionShape& shape, const AttentionOptions& options, const AttentionInputs& in,
                   const AttentionGradients& gradients, const HeadTask& task, const BackwardBuffers& buffers) {
  const std::int64_t size = shape.head_size, width = padded(size), group = shape.heads / shape.key_heads;
  const std::int64_t query_stride = shape.heads * size, key_stride = shape.key_heads * size;
  const std::int64_t key_offset = task.begin * key_stride + task.key_head * size;
  pack_panels(in.k + key_offset, key_stride, task.length, size, buffers.keys_panels);
  pack_panels(in.v + key_offset, key_stride, task.length, size, buffers.values_panels);
  pack_rows(in.k + key_offset, key_stride, task.length, size, 1.0f, buffers.keys);
  std::fill_n(buffers.dk, task.length * width, 0.0f);
  std::fill_n(buffers.dv, task.length * width, 0.0f);
  for (std::int64_t head = task.key_head * group; head < (task.key_head + 1) * group; ++head) {
    for (std::int64_t first = 0; first < task.length; first += kQueryRows) {
      const std::int64_t last = std::min(first + kQueryRows, task.length), rows = last - first;
      const std::int64_t query_offset = (task.begin + first) * query_stride + head * size;
      pack_rows(in.q + query_offset, query_stride, rows, size, 1.0f, buffers.queries);
      pack_rows(gradients.d_o + query_offset, query_stride, rows, size, 1.0f, buffers.d_output);
      for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t place = query_offset + i * query_stride;
        buffers.delta[i] = dot_rows(gradients.d_o + place, gradients.o + place, size);
        buffers.lse[i] = gradients.lse[(task.begin + first + i) * shape.heads + head];
      }
      query_block(shape, options, task, first, last, buffers);
      unpack_rows(buffers.dq, rows, size, gradients.dq + query_offset, query_stride);
    }
  }
  unpack_rows(buffers.dk, task.length, size, gradients.dk + key_offset, key_stride);
  unpack_rows(buffers.dv, task.length, size, gradients.dv + key_offset, key_stride);
}

}  // namespace

void attention_backward(Context& context, const AttentionShape& shape, const AttentionOptions& options,
                        const AttentionInputs& in, const AttentionGradients& gradients) {
  const std::int64_t longest = longest_document(shape);
  const std::int64_t slot_floats = padded(BackwardBuffers::floats(longest, shape.head_size));
  ScratchFrame frame(context);
  float* memory = frame.floats(slot_floats * context.threads());
  parallel_tasks(context, head_task_count(shape), [&](std::int64_t index, int slot) {
    const BackwardBuffers buffers(memory + slot * slot_floats, longest, shape.head_size);
    head_backward(shape, options, in, gradients, head_task(shape, index), buffers);
  });
}

}  // namespace kernels::cpu
