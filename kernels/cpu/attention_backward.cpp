// Backward attention. Per score tile, with P = exp(S - lse) made again and delta = sum(dO o):
//   dV += P^T dO;   dS = P (dO V^T - delta) scale;   dQ += dS K;   dK += dS^T Q
// where the factor `scale` is left to the rows that are finished.
// With a soft-cap, S = cap tanh(s / cap) and dS is multiplied by 1 - (S / cap)^2.
// A task owns one document and key/value head, and with it the rows of dk and dv, so nothing is summed across threads.
#include <cmath>
#include <numbers>

#include "kernels/core/parallel.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/vector_lanes.h"

namespace kernels::cpu {
namespace {

constexpr float kLog2E = std::numbers::log2e_v<float>;

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

// A tile of scores; d_scores holds dO V^T.
struct Differentiated {
  const ScoreTile& tile;
  const BackwardBuffers& buffers;
};

// Turns one row of scores into probabilities and of dO V^T into dS / scale, both zero outside `seen`.
template <int kLanes>
ANNEAL_INLINE void differentiate_row(const Differentiated& work, std::int64_t row) {
  const KeyRange seen = work.tile.seen(row);
  float* scores = work.buffers.scores + row * kScoreStride;
  float* d_scores = work.buffers.d_scores + row * kScoreStride;
  const float factor = work.tile.options.scale * kLog2E, lse = work.buffers.lse[row] * kLog2E;
  const float delta = work.buffers.delta[row];
  const std::int64_t last = work.tile.read(row);
  const std::int64_t first = seen.first < seen.last ? seen.first / kLanes * kLanes : last;
  if (first > 0) {
    std::fill_n(scores, first, 0.0f);
    std::fill_n(d_scores, first, 0.0f);
  }
  for (std::int64_t j = first; j < last; j += kLanes) {
    Floats<kLanes> probability = exp2_lanes<kLanes>(load_lanes<kLanes>(scores + j) * factor - lse);
    Floats<kLanes> gradient = probability * (load_lanes<kLanes>(d_scores + j) - delta);
    if (j < seen.first || j + kLanes > seen.last) {
      probability = keep_lanes<kLanes>(probability, seen.first - j, seen.last - j, 0.0f);
      gradient = keep_lanes<kLanes>(gradient, seen.first - j, seen.last - j, 0.0f);
    }
    store_lanes<kLanes>(scores + j, probability);
    store_lanes<kLanes>(d_scores + j, gradient);
  }
}

template <int kLanes>
ANNEAL_INLINE void differentiate_rows(const Differentiated& work) {
  const ScoreTile tile = work.tile;  // copies: nothing that is written can be them
  const BackwardBuffers buffers = work.buffers;
  const Differentiated copied{tile, buffers};
  for (std::int64_t row = 0; row < tile.rows; ++row) differentiate_row<kLanes>(copied, row);
}

void differentiate_baseline(const Differentiated& work) { differentiate_rows<4>(work); }
ANNEAL_AVX2 void differentiate_avx2(const Differentiated& work) { differentiate_rows<8>(work); }
ANNEAL_AVX512 void differentiate_avx512(const Differentiated& work) { differentiate_rows<16>(work); }

// The same with a soft-cap: the gradient is that of the uncapped scores.
void differentiate_capped(const Differentiated& work) {
  const AttentionOptions& options = work.tile.options;
  for (std::int64_t i = 0; i < work.tile.rows; ++i) {
    const KeyRange seen = work.tile.seen(i);
    float* scores = work.buffers.scores + i * kScoreStride;
    float* d_scores = work.buffers.d_scores + i * kScoreStride;
    for (std::int64_t j = 0; j < work.tile.columns; ++j) {
      if (j < seen.first || j >= seen.last) {
        scores[j] = d_scores[j] = 0.0f;
        continue;
      }
      const float bent = std::tanh(options.scale * scores[j] / options.softcap);
      scores[j] = fast_exp(options.softcap * bent - work.buffers.lse[i]);
      d_scores[j] = scores[j] * (d_scores[j] - work.buffers.delta[i]) * (1.0f - bent * bent);
    }
  }
}

struct BackwardLoops {
  LoopVersions<TileProduct>::Loop product;
  LoopVersions<Differentiated>::Loop differentiate;
};

BackwardLoops backward_loops(const AttentionOptions& options, InstructionSet set) {
  constexpr LoopVersions<Differentiated> kDifferentiate{differentiate_baseline, differentiate_avx2,
                                                        differentiate_avx512};
  return {tile_product(set), options.softcap > 0.0f ? differentiate_capped : kDifferentiate.of(set)};
}

ANNEAL_SIMD float dot_rows(const float* a, const float* b, std::int64_t count) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += a[i] * b[i];
  return total;
}

void query_block(const AttentionShape& shape, const AttentionOptions& options, const HeadTask& task, std::int64_t first,
                 std::int64_t last, const BackwardBuffers& buffers, const BackwardLoops& loops) {
  const std::int64_t size = shape.head_size, width = padded(size), rows = last - first;
  const std::int64_t begin = visible_keys(options, first, task.length).first / kKeyColumns * kKeyColumns;
  const std::int64_t end = visible_keys(options, last - 1, task.length).last;
  for (std::int64_t column = begin; column < end; column += kKeyColumns) {
    const ScoreTile tile{options, task.length, first, rows, column, std::min(kKeyColumns, end - column)};
    const std::int64_t columns = tile.columns, panel = size * 16, diagonal = tile.diagonal();
    const CausalPart scores = tile.part(CausalPart::kScores), from = tile.part(CausalPart::kFromScores),
                     from_transposed = tile.part(CausalPart::kFromTransposedScores);
    loops.product({rows, padded(columns), size, buffers.queries, width, 1, buffers.keys_panels + column * size, 16,
                   buffers.scores, kScoreStride, false, panel, scores, diagonal});
    loops.product({rows, padded(columns), size, buffers.d_output, width, 1, buffers.values_panels + column * size, 16,
                   buffers.d_scores, kScoreStride, false, panel, scores, diagonal});
    loops.differentiate({tile, buffers});
    loops.product({columns, width, rows, buffers.scores, 1, kScoreStride, buffers.d_output, width,
                   buffers.dv + column * width, width, true, 16, from_transposed, diagonal});
    loops.product({rows, width, columns, buffers.d_scores, kScoreStride, 1, buffers.keys + column * width, width,
                   buffers.dq, width, column != begin, 16, from, diagonal});
    loops.product({columns, width, rows, buffers.d_scores, 1, kScoreStride, buffers.queries, width,
                   buffers.dk + column * width, width, true, 16, from_transposed, diagonal});
  }
}

void head_backward(const AttentionShape& shape, const AttentionOptions& options, const AttentionInputs& in,
                   const AttentionGradients& gradients, const HeadTask& task, const BackwardBuffers& buffers,
                   const BackwardLoops& loops) {
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
      const std::int64_t next = query_offset + kQueryRows * query_stride;
      for (const float* input : {in.q, gradients.d_o, gradients.o})
        ask_to_read(input + next, query_stride, std::min(kQueryRows, task.length - last), size);
      ask_to_write(gradients.dq + query_offset, query_stride, rows, size);
      for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t place = query_offset + i * query_stride;
        buffers.delta[i] = dot_rows(gradients.d_o + place, gradients.o + place, size);
        buffers.lse[i] = gradients.lse[(task.begin + first + i) * shape.heads + head];
      }
      query_block(shape, options, task, first, last, buffers, loops);
      unpack_rows(buffers.dq, rows, size, options.scale, gradients.dq + query_offset, query_stride);
    }
  }
  unpack_rows(buffers.dk, task.length, size, options.scale, gradients.dk + key_offset, key_stride);
  unpack_rows(buffers.dv, task.length, size, 1.0f, gradients.dv + key_offset, key_stride);
}

}  // namespace

void attention_backward(Context& context, const AttentionShape& shape, const AttentionOptions& options,
                        const AttentionInputs& in, const AttentionGradients& gradients, InstructionSet set) {
  const BackwardLoops loops = backward_loops(options, set);
  const std::int64_t longest = longest_document(shape);
  const std::int64_t slot_floats = padded(BackwardBuffers::floats(longest, shape.head_size));
  ScratchFrame frame(context);
  float* memory = frame.floats(slot_floats * context.threads());
  parallel_tasks(context, head_task_count(shape), [&](std::int64_t index, int slot) {
    const BackwardBuffers buffers(memory + slot * slot_floats, longest, shape.head_size);
    head_backward(shape, options, in, gradients, head_task(shape, index), buffers, loops);
  });
}

}  // namespace kernels::cpu
