// Forward attention with the online softmax: a block has a tile of queries of one head and visits the keys they see,
// tile by tile, keeping in registers per row the running maximum, the running sum of exp2(score - maximum) and the
// running output. Copies overlap with products: values arrive while scores are made, the next keys while values are
// weighted.
#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

// Rows per warp 16 kM: twice the rows halve the shared memory traffic of a product, as far as registers allow. All
// tilings fit the 99 KiB of compute capability 8.9.
template <int kSize>
struct ForwardTiling {
  static constexpr int kM = kSize <= 128 ? 2 : 1, kWarps = 4, kKeys = kSize <= 192 ? 64 : 32;
  static constexpr int kThreads = kWarps * kWarpThreads, kWarpRows = 16 * kM, kRows = kWarps * kWarpRows;
};

template <int kM, int kN>
struct OnlineSoftmax {
  float maximum[kM][2], sum[kM][2];  // sum: over this thread's columns only

  __device__ OnlineSoftmax() {
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        maximum[m][half] = -INFINITY;
        sum[m][half] = 0.0f;
      }
    }
  }

  // Turns scores into exp2(score - maximum) and shrinks what was summed for smaller maxima.
  template <int kColumns>
  __device__ void absorb(float (&scores)[kM][kN][4], float factor, float (&output)[kM][kColumns][4]) {
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float largest = -INFINITY;
#pragma unroll
        for (int n = 0; n < kN; ++n)
          largest = fmaxf(largest, fmaxf(scores[m][n][2 * half], scores[m][n][2 * half + 1]));
        largest = fmaxf(maximum[m][half], row_max_of_four(largest) * factor);
        const float base = largest == -INFINITY ? 0.0f : largest;  // a row that has seen nothing yet
        const float shrink = exp2_fast(maximum[m][half] - base);
        maximum[m][half] = largest;
        float total = sum[m][half] * shrink;
#pragma unroll
        for (int n = 0; n < kN; ++n) {
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; ++i) {
            scores[m][n][i] = exp2_fast(fmaf(scores[m][n][i], factor, -base));
            total += scores[m][n][i];
          }
        }
        sum[m][half] = total;
#pragma unroll
        for (int n = 0; n < kColumns; ++n) {
          output[m][n][2 * half] *= shrink;
          output[m][n][2 * half + 1] *= shrink;
        }
      }
    }
  }
};

// Caps scores and hides those that a row does not see.
template <int kM, int kN>
__device__ void bend_and_mask(float (&scores)[kM][kN][4], const Scores& rule, const SharedArray<int>& ranges, int row,
                              int first_key, bool masked) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
#pragma unroll
  for (int m = 0; m < kM; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const Range seen = masked ? range_at(ranges, row + 16 * m + lane / 4 + 8 * half) : Range{0, 0};
#pragma unroll
      for (int n = 0; n < kN; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& score = scores[m][n][2 * half + i];
          score = rule.bent(score);
          const int key = first_key + 8 * n + lane % 4 * 2 + i;
          if (masked && (key < seen.first || key >= seen.last)) score = -INFINITY;
        }
      }
    }
  }
}

// Grid: tiles of queries, heads.
template <typename T, int kSize>
__global__ void __launch_bounds__(ForwardTiling<kSize>::kThreads)
    attention_forward_kernel(AttentionBatch batch, GlobalView<const T> q, GlobalView<const T> k, GlobalView<const T> v,
                             GlobalView<T> o, GlobalView<float> lse) {
  using Tiling = ForwardTiling<kSize>;
  using Tile = RowTile<T, kSize>;
  constexpr int kM = Tiling::kM, kKeys = Tiling::kKeys, kRows = Tiling::kRows, kThreads = Tiling::kThreads;
  SharedMemory shared;
  const Tile queries{shared.array<T>(Tile::elements(kRows))}, keys{shared.array<T>(Tile::elements(kKeys))},
      values{shared.array<T>(Tile::elements(kKeys))};
  const SharedArray<int> ranges = shared.array<int>(2 * kRows);
  if (blockIdx.x == 0 && blockIdx.y == 0) batch.note_faults();

  // The last queries see the most keys: they begin first.
  const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRows, head = static_cast<int>(blockIdx.y);
  const HeadRows<const T> key_source = key_rows(batch, k, batch.key_head_of(head)),
                          value_source = key_rows(batch, v, batch.key_head_of(head));
  queries.template load<kRows, kThreads>(query_rows(batch, q, head), first_query);
  fill_ranges<kRows>(ranges, first_query, batch.tokens, [&](int query) { return batch.keys_seen_by(query); });
  __syncthreads();
  const int row = static_cast<int>(threadIdx.x) / kWarpThreads * Tiling::kWarpRows;  // the warp's first, in the tile
  const Range visited = RowRanges(ranges, 0, kRows).any;

  float output[kM][kSize / 8][4] = {};
  OnlineSoftmax<kM, kKeys / 8> softmax;
  keys.template load<kKeys, kThreads>(key_source, visited.first);
  commit_copies();
  for (int first = visited.first; first < visited.last; first += kKeys) {
    wait_for_copies<0>();
    __syncthreads();
    values.template load<kKeys, kThreads>(value_source, first);
    commit_copies();
    const RowRanges own(ranges, row, Tiling::kWarpRows);  // read every time: registers are scarce
    const bool counts = !own.miss(first, kKeys);          // for the whole warp
    Factor<kM, kKeys / 16> weights;
    if (counts) {
      float scores[kM][kKeys / 8][4] = {};
      add_row_products(scores, queries, row, keys);
      bend_and_mask(scores, batch.scores, ranges, row, first, !own.cover(first, kKeys));
      softmax.absorb(scores, batch.scores.factor, output);
      weights = Factor<kM, kKeys / 16>::template of<T>(scores);
    }
    wait_for_copies<0>();
    __syncthreads();
    if (first + kKeys < visited.last) keys.template load<kKeys, kThreads>(key_source, first + kKeys);
    commit_copies();
    if (counts) add_weighted_rows(output, weights, values, 0);
  }
  wait_for_copies<0>();  // the queries, where nothing was visited
  __syncthreads();

  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  float inverse[kM][2];
#pragma unroll
  for (int m = 0; m < kM; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = row_sum_of_four(softmax.sum[m][half]);
      inverse[m][half] = sum > 0.0f ? 1.0f / sum : 0.0f;
      const int query = first_query + row + 16 * m + lane / 4 + 8 * half;
      if (lane % 4 == 0 && query < batch.tokens)
        lse[static_cast<std::int64_t>(query) * batch.heads + head] = softmax.maximum[m][half] * kLn2 + logf(sum);
    }
  }
  queries.put(output, inverse, row, 0);
  __syncthreads();
  queries.template save<kRows, kThreads>(query_rows(batch, o, head), first_query);
}

template <typename T, int kSize>
void forward(Context& context, const AttentionBatch& batch, const Tensor& q, const Tensor& k, const Tensor& v,
             Tensor& o, Tensor& lse) {
  using Tiling = ForwardTiling<kSize>;
  using Tile = RowTile<T, kSize>;
  const auto tiles = static_cast<unsigned>(divided_up(batch.tokens, Tiling::kRows));
  SharedPlan plan;
  plan.array<T>(Tile::elements(Tiling::kRows)).template array<T>(Tile::elements(Tiling::kKeys));
  plan.array<T>(Tile::elements(Tiling::kKeys)).template array<int>(2 * Tiling::kRows);
  launch(context.cuda_session(), "attention_forward", attention_forward_kernel<T, kSize>,
         {dim3(tiles, static_cast<unsigned>(batch.heads)), dim3(Tiling::kThreads), plan.bytes()}, batch, view_of<T>(q),
         view_of<T>(k), view_of<T>(v), view_of<T>(o), view_of<float>(lse));
}

}  // namespace

AttentionBatch attention_batch(Context& context, const Tensor& q, const Tensor& k, const Tensor& cu_seqlens,
                               const AttentionOptions& options, std::initializer_list<const void*> starts) {
  const std::int64_t tokens = q.size(0);
  const bool vectors = q.type() != DataType::kFloat32 && vector_width<BFloat16>(q.size(2), starts) > 1;
  return {view_of<std::int32_t>(cu_seqlens),
          context.cuda_session().faults(),
          static_cast<int>(cu_seqlens.count() - 1),
          static_cast<int>(tokens),
          static_cast<int>(q.size(1)),
          static_cast<int>(k.size(1)),
          static_cast<int>(q.size(2)),
          static_cast<int>(std::min(options.sliding_window, tokens)),
          options.causal,
          vectors,
          Scores(options)};
}

// The one place that chooses a path: kernels made for one generation of devices come before the portable ones, by
// context.cuda_session().capability().
void attention_forward(Context& context, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& cu_seqlens,
                       const AttentionOptions& options, Tensor& o, Tensor& lse) {
  if (q.count() == 0) return;
  const AttentionBatch batch =
      attention_batch(context, q, k, cu_seqlens, options, {q.raw_data(), k.raw_data(), v.raw_data(), o.raw_data()});
  if (q.type() == DataType::kFloat32) return attention_forward_float32(context, batch, q, k, v, o, lse);
  with_16_bit_type(q.type(), [&](auto element) {
    with_tile_width(q.size(2), [&](auto size) {
      forward<decltype(element), decltype(size)::value>(context, batch, q, k, v, o, lse);
    });
  });
}

}  // namespace kernels::cuda
