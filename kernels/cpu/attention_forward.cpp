// Forward attention with the online softmax: for a block of queries the key tiles are visited in order, keeping per
// query a maximum m, the running sum l of exp(score - m) and the running output, rescaled when the scores outgrow m.
// Scores are kept times log2(e), so that exp(score - m) is a power of two.
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/core/parallel.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/vector_lanes.h"

namespace kernels::cpu {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr float kLog2E = std::numbers::log2e_v<float>, kLn2 = std::numbers::ln2_v<float>;
constexpr float kMostGrowth = 8.0f;  // m may lie below the highest score by this: powers stay under 256 and far from 0
constexpr std::int64_t kSumLanes = 16;  // the running sum of a row is kept in parts, one per lane

// One thread's buffers.
struct ForwardBuffers {
  float *keys_panels, *values, *queries, *scores, *output, *maximum, *sums;

  static std::int64_t floats(std::int64_t longest, std::int64_t head_size) {
    const std::int64_t width = padded(head_size);
    return head_size * padded(longest) + longest * width + kQueryRows * (2 * width + kScoreStride + 1 + kSumLanes) + 64;
  }
  ForwardBuffers(float* memory, std::int64_t longest, std::int64_t head_size) {
    const std::int64_t width = padded(head_size);
    keys_panels = memory;
    values = keys_panels + head_size * padded(longest);
    queries = values + longest * width;
    output = queries + kQueryRows * width;
    scores = output + kQueryRows * width;
    sums = scores + kQueryRows * kScoreStride;
    maximum = sums + kQueryRows * kSumLanes;
  }
};

// A tile of scores and what its rows are absorbed into.
struct Absorbed {
  const ScoreTile& tile;
  const ForwardBuffers& buffers;
  std::int64_t width;  // of a row of output
};

// The highest score that a row sees in the vectors [first, last); in these, columns that it does not see become minus
// infinity.
template <int kLanes>
ANNEAL_INLINE float highest_seen(float* scores, KeyRange seen, std::int64_t first, std::int64_t last) {
  Floats<kLanes> highest = Floats<kLanes>{} + kMinusInfinity;
  for (std::int64_t j = first; j < last; j += kLanes) {
    Floats<kLanes> score = load_lanes<kLanes>(scores + j);
    if (j < seen.first || j + kLanes > seen.last) {
      score = keep_lanes<kLanes>(score, seen.first - j, seen.last - j, kMinusInfinity);
      store_lanes<kLanes>(scores + j, score);
    }
    highest = highest < score ? score : highest;
  }
  return highest_of_lanes<kLanes>(highest);
}

template <int kLanes>
ANNEAL_INLINE void scale_lanes(float* values, std::int64_t count, float factor) {
  for (std::int64_t j = 0; j < count; j += kLanes)
    store_lanes<kLanes>(values + j, load_lanes<kLanes>(values + j) * factor);
}

// Turns one row of scores into 2^(score - m), zero where products read but it does not see, and updates m, l and the
// row's output.
template <int kLanes>
ANNEAL_INLINE void absorb_row(const Absorbed& work, std::int64_t row) {
  const KeyRange seen = work.tile.seen(row);
  const std::int64_t last = work.tile.read(row);
  float* scores = work.buffers.scores + row * kScoreStride;
  if (seen.first >= seen.last) {
    std::fill_n(scores, last, 0.0f);
    return;
  }
  const std::int64_t first = seen.first / kLanes * kLanes;
  if (first > 0) std::fill_n(scores, first, 0.0f);
  float* sums = work.buffers.sums + row * kSumLanes;
  float maximum = work.buffers.maximum[row];
  const float highest = highest_seen<kLanes>(scores, seen, first, last);
  if (highest > maximum + kMostGrowth || maximum == kMinusInfinity) {
    const float shrink = maximum > kMinusInfinity ? exp2_lanes<4>(Floats<4>{} + (maximum - highest))[0] : 0.0f;
    scale_lanes<kLanes>(work.buffers.output + row * work.width, work.width, shrink);
    scale_lanes<kLanes>(sums, kSumLanes, shrink);
    work.buffers.maximum[row] = maximum = highest;
  }
  Floats<kLanes> sum = load_lanes<kLanes>(sums);
  for (std::int64_t j = first; j < last; j += kLanes) {
    const Floats<kLanes> share = exp2_lanes<kLanes>(load_lanes<kLanes>(scores + j) - maximum);
    store_lanes<kLanes>(scores + j, share);
    sum += share;
  }
  store_lanes<kLanes>(sums, sum);
}

template <int kLanes>
ANNEAL_INLINE void absorb_rows(const Absorbed& work) {
  const ScoreTile tile = work.tile;  // copies: nothing that is written can be them
  const ForwardBuffers buffers = work.buffers;
  const Absorbed copied{tile, buffers, work.width};
  for (std::int64_t row = 0; row < tile.rows; ++row) absorb_row<kLanes>(copied, row);
}

void absorb_baseline(const Absorbed& work) { absorb_rows<4>(work); }
ANNEAL_AVX2 void absorb_avx2(const Absorbed& work) { absorb_rows<8>(work); }
ANNEAL_AVX512 void absorb_avx512(const Absorbed& work) { absorb_rows<16>(work); }
constexpr LoopVersions<Absorbed> kAbsorb{absorb_baseline, absorb_avx2, absorb_avx512};

struct ForwardLoops {
  LoopVersions<TileProduct>::Loop product;
  LoopVersions<Absorbed>::Loop absorb;
};

// score = cap * tanh(score / cap), then times log2(e), in the columns seen.
void cap_scores(const ScoreTile& tile, float* scores) {
  const float cap = tile.options.softcap;
  for (std::int64_t i = 0; i < tile.rows; ++i, scores += kScoreStride) {
    const KeyRange seen = tile.seen(i);
    for (std::int64_t j = seen.first; j < seen.last; ++j) scores[j] = cap * kLog2E * std::tanh(scores[j] / cap);
  }
}

// The queries [first, last) of one head of the task against all keys they see.
void query_block(const AttentionShape& shape, const AttentionOptions& options, const HeadTask& task, std::int64_t first,
                 std::int64_t last, const ForwardBuffers& buffers, const ForwardLoops& loops) {
  const std::int64_t width = padded(shape.head_size), rows = last - first;
  std::fill_n(buffers.maximum, rows, kMinusInfinity);
  std::fill_n(buffers.sums, rows * kSumLanes, 0.0f);
  const std::int64_t begin = visible_keys(options, first, task.length).first / kKeyColumns * kKeyColumns;
  const std::int64_t end = visible_keys(options, last - 1, task.length).last;
  for (std::int64_t column = begin; column < end; column += kKeyColumns) {
    const ScoreTile tile{options, task.length, first, rows, column, std::min(kKeyColumns, end - column)};
    loops.product({rows, padded(tile.columns), shape.head_size, buffers.queries, width, 1,
                   buffers.keys_panels + column * shape.head_size, 16, buffers.scores, kScoreStride, false,
                   shape.head_size * 16, tile.part(CausalPart::kScores), tile.diagonal()});
    if (options.softcap > 0.0f) cap_scores(tile, buffers.scores);
    loops.absorb({tile, buffers, column == begin ? 0 : width});
    loops.product({rows, width, tile.columns, buffers.scores, kScoreStride, 1, buffers.values + column * width, width,
                   buffers.output, width, column != begin, 16, tile.part(CausalPart::kFromScores), tile.diagonal()});
  }
}

// o and lse of the rows [first, last) of one head.
void finish_block(const AttentionShape& shape, const HeadTask& task, std::int64_t head, std::int64_t first,
                  std::int64_t last, const ForwardBuffers& buffers, float* o, float* lse) {
  const std::int64_t width = padded(shape.head_size), stride = shape.heads * shape.head_size;
  const std::int64_t token = task.begin + first;
  for (std::int64_t i = 0; i < last - first; ++i) {
    float sum = 0.0f;
    for (std::int64_t lane = 0; lane < kSumLanes; ++lane) sum += buffers.sums[i * kSumLanes + lane];
    scale(1.0f / sum, width, buffers.output + i * width);
    lse[(token + i) * shape.heads + head] = buffers.maximum[i] * kLn2 + std::log(sum);
  }
  unpack_rows(buffers.output, last - first, shape.head_size, 1.0f, o + token * stride + head * shape.head_size, stride);
}

// The queries [first, last) of the heads that share the task's key/value head. A long document is cut into such parts,
// each of which packs the keys that it sees: a copy beside hundreds of products.
constexpr std::int64_t kPartRows = 22 * kQueryRows;

void part_forward(const AttentionShape& shape, const AttentionOptions& options, const AttentionInputs& in,
                  const HeadTask& task, std::int64_t first, const ForwardBuffers& buffers, const ForwardLoops& loops,
                  float* o, float* lse) {
  const std::int64_t size = shape.head_size, group = shape.heads / shape.key_heads;
  const std::int64_t query_stride = shape.heads * size, key_stride = shape.key_heads * size;
  const std::int64_t part_end = std::min(first + kPartRows, task.length);
  const std::int64_t keys = visible_keys(options, first, task.length).first / kKeyColumns * kKeyColumns;
  const std::int64_t count = visible_keys(options, part_end - 1, task.length).last - keys;
  const std::int64_t key_offset = (task.begin + keys) * key_stride + task.key_head * size;
  pack_panels(in.k + key_offset, key_stride, count, size, buffers.keys_panels + keys * size);
  pack_rows(in.v + key_offset, key_stride, count, size, 1.0f, buffers.values + keys * padded(size));
  const float factor = options.softcap > 0.0f ? options.scale : options.scale * kLog2E;
  for (std::int64_t head = task.key_head * group; head < (task.key_head + 1) * group; ++head) {
    for (std::int64_t row = first; row < part_end; row += kQueryRows) {
      const std::int64_t last = std::min(row + kQueryRows, part_end);
      const std::int64_t query_offset = (task.begin + row) * query_stride + head * size;
      pack_rows(in.q + query_offset, query_stride, last - row, size, factor, buffers.queries);
      ask_to_read(in.q + query_offset + (last - row) * query_stride, query_stride,
                  std::min(kQueryRows, part_end - last), size);
      ask_to_write(o + query_offset, query_stride, last - row, size);
      query_block(shape, options, task, row, last, buffers, loops);
      finish_block(shape, task, head, row, last, buffers, o, lse);
    }
  }
}

}  // namespace

void attention_forward(Context& context, const AttentionShape& shape, const AttentionOptions& options,
                       const AttentionInputs& in, float* o, float* lse, InstructionSet set) {
  const ForwardLoops loops{tile_product(set), kAbsorb.of(set)};
  const std::int64_t longest = longest_document(shape), heads = head_task_count(shape);
  const std::int64_t parts = (longest + kPartRows - 1) / kPartRows;
  const std::int64_t slot_floats = padded(ForwardBuffers::floats(longest, shape.head_size));
  ScratchFrame frame(context);
  float* memory = frame.floats(slot_floats * context.threads());
  parallel_tasks(context, heads * parts, [&](std::int64_t index, int slot) {
    const HeadTask task = head_task(shape, index % heads);
    const std::int64_t first = (parts - 1 - index / heads) * kPartRows;  // the last parts see the most keys
    if (first >= task.length) return;
    const ForwardBuffers buffers(memory + slot * slot_floats, longest, shape.head_size);
    part_forward(shape, options, in, task, first, buffers, loops, o, lse);
  });
}

}  // namespace kernels::cpu
