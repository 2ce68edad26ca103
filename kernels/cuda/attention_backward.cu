// Backward attention. Probabilities are made again from the saved log-sum-exp: P = exp(S - lse), and with
// delta = sum(dO o) of a row: dV = P^T dO;  dS = P (dO V^T - delta);  dQ = scale dS K;  dK = scale dS^T Q.
// Two kernels, each sums in one fixed order: in one a block owns keys and visits the queries that see them, of all
// heads of the group; in the other it owns queries and visits keys. Scores are made in the orientation in which they
// are the left factor of what follows (S^T in the first), so they never leave the registers.
#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

constexpr int kStages = 2;  // of the tiles that are visited: one is worked on while the next one arrives

// delta[row] = sum of d_o o over the head; a warp a row.
constexpr int kDeltaRows = 8;
template <typename T>
__global__ void __launch_bounds__(kDeltaRows* kWarpThreads)
    delta_kernel(GlobalView<const T> d_o, GlobalView<const T> o, GlobalView<float> delta, std::int64_t rows,
                 int head_size) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kDeltaRows + threadIdx.y;
  if (row >= rows) return;
  float total = 0.0f;
  for (int d = static_cast<int>(threadIdx.x); d < head_size; d += kWarpThreads)
    total += widen(d_o.load(row * head_size + d)) * widen(o.load(row * head_size + d));
  total = warp_sum(total);
  if (threadIdx.x == 0) delta[row] = total;
}

// Over 128 columns the sums of 16 keys do not fit the registers of a warp: kParts warps share them, and each makes the
// scores for itself.
template <int kSize>
struct KeyTiling {
  static constexpr int kParts = kSize > 128 ? 2 : 1, kWarps = 4;
  static constexpr int kThreads = kWarps * kWarpThreads, kKeys = 16 * kWarps / kParts, kQueries = kSize > 192 ? 16 : 32;
  static constexpr int kColumns = kSize / kParts;  // of a warp
};

template <int kSize>
struct QueryTiling {
  static constexpr int kWarps = kSize > 192 ? 2 : 4, kKeys = kSize > 128 ? 16 : 32;
  static constexpr int kThreads = kWarps * kWarpThreads, kRows = 16 * kWarps;
};

// What forward saved of each query.
struct SavedRows {
  GlobalView<const float> lse, delta;  // [tokens, heads]
};

// S and dP become P and dS (without its factor, the scale), element by element.
__device__ void to_gradient(const Scores& rule, float lse2, float delta, bool seen, float& score, float& d_score) {
  float slope;
  const float bent = rule.bent(score, slope);
  score = seen ? exp2_fast(fmaf(bent, rule.factor, -lse2)) : 0.0f;
  d_score = seen ? score * (d_score - delta) * slope : 0.0f;
}

// Grid: tiles of keys, key heads.
template <typename T, int kSize>
__global__ void __launch_bounds__(KeyTiling<kSize>::kThreads)
    key_gradient_kernel(AttentionBatch batch, GlobalView<const T> d_o, GlobalView<const T> q, GlobalView<const T> k,
                        GlobalView<const T> v, SavedRows saved, GlobalView<T> dk, GlobalView<T> dv) {
  using Tiling = KeyTiling<kSize>;
  using Tile = RowTile<T, kSize>;
  constexpr int kKeys = Tiling::kKeys, kQueries = Tiling::kQueries, kThreads = Tiling::kThreads;
  SharedMemory shared;
  const Tile keys{shared.array<T>(Tile::elements(kKeys))}, values{shared.array<T>(Tile::elements(kKeys))};
  const SharedArray<T> query_stages = shared.array<T>(kStages * Tile::elements(kQueries)),
                       d_output_stages = shared.array<T>(kStages * Tile::elements(kQueries));
  const SharedArray<float> lse_stages = shared.array<float>(kStages * kQueries),
                           delta_stages = shared.array<float>(kStages * kQueries);
  const SharedArray<int> ranges = shared.array<int>(2 * kKeys);
  const auto stage_of = [](const SharedArray<T>& stages, int stage) {
    return Tile{stages.part(stage * Tile::elements(kQueries), Tile::elements(kQueries))};
  };

  const int first_key = static_cast<int>(blockIdx.x) * kKeys, key_head = static_cast<int>(blockIdx.y);
  keys.template load<kKeys, kThreads>(key_rows(batch, k, key_head), first_key);
  values.template load<kKeys, kThreads>(key_rows(batch, v, key_head), first_key);
  fill_ranges<kKeys>(ranges, first_key, batch.tokens, [&](int key) { return batch.queries_that_see(key); });
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int row = warp / Tiling::kParts * 16, column = warp % Tiling::kParts * Tiling::kColumns;
  const RowRanges own(ranges, row, 16);
  const Range seen[2] = {range_at(ranges, row + lane / 4), range_at(ranges, row + lane / 4 + 8)};
  const Range visited = RowRanges(ranges, 0, kKeys).any;
  const int group = batch.heads / batch.key_heads;
  const int tiles = visited.first < visited.last ? (visited.last - visited.first + kQueries - 1) / kQueries : 0;

  // Visit i is tile i % tiles of head i / tiles of the group.
  const auto start = [&](int i) {
    const int stage = i % kStages, head = key_head * group + i / tiles, first = visited.first + i % tiles * kQueries;
    stage_of(query_stages, stage).template load<kQueries, kThreads>(query_rows(batch, q, head), first);
    stage_of(d_output_stages, stage).template load<kQueries, kThreads>(query_rows(batch, d_o, head), first);
    for (int query = static_cast<int>(threadIdx.x); query < kQueries; query += kThreads) {
      const std::int64_t place = static_cast<std::int64_t>(first + query) * batch.heads + head;
      const int there = first + query < batch.tokens ? 1 : 0;
      copy_async<4>(lse_stages, stage * kQueries + query, saved.lse, place, there);
      copy_async<4>(delta_stages, stage * kQueries + query, saved.delta, place, there);
    }
  };

  float dk_sums[1][Tiling::kColumns / 8][4] = {}, dv_sums[1][Tiling::kColumns / 8][4] = {};
  if (tiles > 0) start(0);
  commit_copies();
  for (int i = 0; i < group * tiles; ++i) {
    if (i + 1 < group * tiles) start(i + 1);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const int stage = i % kStages, first = visited.first + i % tiles * kQueries;
    if (!own.miss(first, kQueries)) {
      const Tile queries = stage_of(query_stages, stage), d_outputs = stage_of(d_output_stages, stage);
      const bool masked = !own.cover(first, kQueries);
      float scores[1][kQueries / 8][4] = {}, d_scores[1][kQueries / 8][4] = {};
      add_row_products(scores, keys, row, queries);
      add_row_products(d_scores, values, row, d_outputs);
#pragma unroll
      for (int n = 0; n < kQueries / 8; ++n) {
        const int pair = 8 * n + lane % 4 * 2;
        const Vector<float, 2> lse = lse_stages.template load<2>(stage * kQueries + pair);
        const Vector<float, 2> delta = delta_stages.template load<2>(stage * kQueries + pair);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int query = first + pair + e % 2;
          const bool sees = !masked || (query >= seen[e / 2].first && query < seen[e / 2].last);
          to_gradient(batch.scores, lse[e % 2] * kLog2E, delta[e % 2], sees, scores[0][n][e], d_scores[0][n][e]);
        }
      }
      add_weighted_rows(dv_sums, Factor<1, kQueries / 16>::template of<T>(scores), d_outputs, column);
      add_weighted_rows(dk_sums, Factor<1, kQueries / 16>::template of<T>(d_scores), queries, column);
    }
    __syncthreads();
  }
  wait_for_copies<0>();
  __syncthreads();
  const float scale[1][2] = {{batch.scores.scale, batch.scores.scale}}, one[1][2] = {{1.0f, 1.0f}};
  keys.put(dk_sums, scale, row, column);
  values.put(dv_sums, one, row, column);
  __syncthreads();
  keys.template save<kKeys, kThreads>(key_rows(batch, dk, key_head), first_key);
  values.template save<kKeys, kThreads>(key_rows(batch, dv, key_head), first_key);
}

// Grid: tiles of queries, heads.
template <typename T, int kSize>
__global__ void __launch_bounds__(QueryTiling<kSize>::kThreads)
    query_gradient_kernel(AttentionBatch batch, GlobalView<const T> d_o, GlobalView<const T> q, GlobalView<const T> k,
                          GlobalView<const T> v, SavedRows saved, GlobalView<T> dq) {
  using Tiling = QueryTiling<kSize>;
  using Tile = RowTile<T, kSize>;
  constexpr int kKeys = Tiling::kKeys, kRows = Tiling::kRows, kThreads = Tiling::kThreads;
  SharedMemory shared;
  const Tile queries{shared.array<T>(Tile::elements(kRows))}, d_outputs{shared.array<T>(Tile::elements(kRows))};
  const SharedArray<T> key_stages = shared.array<T>(kStages * Tile::elements(kKeys)),
                       value_stages = shared.array<T>(kStages * Tile::elements(kKeys));
  const SharedArray<int> ranges = shared.array<int>(2 * kRows);
  const auto stage_of = [](const SharedArray<T>& stages, int stage) {
    return Tile{stages.part(stage * Tile::elements(kKeys), Tile::elements(kKeys))};
  };

  // The last queries see the most keys: they begin first.
  const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRows, head = static_cast<int>(blockIdx.y);
  const int key_head = batch.key_head_of(head);
  queries.template load<kRows, kThreads>(query_rows(batch, q, head), first_query);
  d_outputs.template load<kRows, kThreads>(query_rows(batch, d_o, head), first_query);
  fill_ranges<kRows>(ranges, first_query, batch.tokens, [&](int query) { return batch.keys_seen_by(query); });
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int row = static_cast<int>(threadIdx.x) / kWarpThreads * 16;
  const RowRanges own(ranges, row, 16);
  const Range visited = RowRanges(ranges, 0, kRows).any;
  Range seen[2];
  float lse2[2], delta[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int in_tile = row + lane / 4 + 8 * half, query = min(first_query + in_tile, batch.tokens - 1);
    const std::int64_t place = static_cast<std::int64_t>(query) * batch.heads + head;
    seen[half] = range_at(ranges, in_tile);
    lse2[half] = saved.lse.load(place) * kLog2E;
    delta[half] = saved.delta.load(place);
  }

  const auto start = [&](int first, int stage) {
    stage_of(key_stages, stage).template load<kKeys, kThreads>(key_rows(batch, k, key_head), first);
    stage_of(value_stages, stage).template load<kKeys, kThreads>(key_rows(batch, v, key_head), first);
  };
  float sums[1][kSize / 8][4] = {};
  if (visited.first < visited.last) start(visited.first, 0);
  commit_copies();
  int stage = 0;
  for (int first = visited.first; first < visited.last; first += kKeys, stage ^= 1) {
    if (first + kKeys < visited.last) start(first + kKeys, stage ^ 1);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    if (!own.miss(first, kKeys)) {
      const Tile keys = stage_of(key_stages, stage), values = stage_of(value_stages, stage);
      const bool masked = !own.cover(first, kKeys);
      float scores[1][kKeys / 8][4] = {}, d_scores[1][kKeys / 8][4] = {};
      add_row_products(scores, queries, row, keys);
      add_row_products(d_scores, d_outputs, row, values);
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int key = first + 8 * n + lane % 4 * 2 + e % 2;
          const bool sees = !masked || (key >= seen[e / 2].first && key < seen[e / 2].last);
          to_gradient(batch.scores, lse2[e / 2], delta[e / 2], sees, scores[0][n][e], d_scores[0][n][e]);
        }
      }
      add_weighted_rows(sums, Factor<1, kKeys / 16>::template of<T>(d_scores), keys, 0);
    }
    __syncthreads();
  }
  wait_for_copies<0>();
  __syncthreads();
  const float scale[1][2] = {{batch.scores.scale, batch.scores.scale}};
  queries.put(sums, scale, row, 0);
  __syncthreads();
  queries.template save<kRows, kThreads>(query_rows(batch, dq, head), first_query);
}

// `own`, `visited`: rows of the two tiles that the block owns, and of the two that come and go.
template <typename T, int kSize>
SharedPlan plan_of(int own, int visited) {
  using Tile = RowTile<T, kSize>;
  SharedPlan plan;
  plan.array<T>(Tile::elements(own)).template array<T>(Tile::elements(own));
  plan.array<T>(kStages * Tile::elements(visited)).template array<T>(kStages * Tile::elements(visited));
  return plan;
}

template <typename T, int kSize>
void backward(Context& context, const AttentionBatch& batch, const AttentionGradientTensors& t) {
  using Keys = KeyTiling<kSize>;
  using Queries = QueryTiling<kSize>;
  const SavedRows saved{view_of<float>(t.lse), t.delta};
  SharedPlan key_plan = plan_of<T, kSize>(Keys::kKeys, Keys::kQueries);
  key_plan.array<float>(kStages * Keys::kQueries).template array<float>(kStages * Keys::kQueries);
  key_plan.array<int>(2 * Keys::kKeys);
  launch(context.cuda_session(), "attention_backward (keys)", key_gradient_kernel<T, kSize>,
         {dim3(static_cast<unsigned>(divided_up(batch.tokens, Keys::kKeys)), static_cast<unsigned>(batch.key_heads)),
          dim3(Keys::kThreads), key_plan.bytes()},
         batch, view_of<T>(t.d_o), view_of<T>(t.q), view_of<T>(t.k), view_of<T>(t.v), saved, view_of<T>(t.dk),
         view_of<T>(t.dv));
  SharedPlan query_plan = plan_of<T, kSize>(Queries::kRows, Queries::kKeys);
  query_plan.array<int>(2 * Queries::kRows);
  launch(context.cuda_session(), "attention_backward (queries)", query_gradient_kernel<T, kSize>,
         {dim3(static_cast<unsigned>(divided_up(batch.tokens, Queries::kRows)), static_cast<unsigned>(batch.heads)),
          dim3(Queries::kThreads), query_plan.bytes()},
         batch, view_of<T>(t.d_o), view_of<T>(t.q), view_of<T>(t.k), view_of<T>(t.v), saved, view_of<T>(t.dq));
}

}  // namespace

// The one place that chooses a path, as in attention_forward.cu.
void attention_backward(Context& context, const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Tensor& o, const Tensor& lse, const Tensor& cu_seqlens, const AttentionOptions& options,
                        Tensor& dq, Tensor& dk, Tensor& dv) {
  if (q.count() == 0) return;
  const AttentionBatch batch = attention_batch(
      context, q, k, cu_seqlens, options,
      {d_o.raw_data(), q.raw_data(), k.raw_data(), v.raw_data(), dq.raw_data(), dk.raw_data(), dv.raw_data()});
  ScratchFrame frame(context);
  const std::int64_t rows = q.size(0) * q.size(1);
  const GlobalView<float> delta(frame.floats(rows), rows);
  with_float_type(q.type(), [&](auto element) {
    using T = decltype(element);
    launch(context.cuda_session(), "attention_backward (delta)", delta_kernel<T>,
           {dim3(static_cast<unsigned>(divided_up(rows, kDeltaRows))), dim3(kWarpThreads, kDeltaRows)}, view_of<T>(d_o),
           view_of<T>(o), delta, rows, batch.head_size);
  });
  const AttentionGradientTensors tensors{d_o, q, k, v, lse, delta, dq, dk, dv};
  if (q.type() == DataType::kFloat32) return attention_backward_float32(context, batch, tensors);
  with_16_bit_type(q.type(), [&](auto element) {
    with_tile_width(q.size(2),
                    [&](auto size) { backward<decltype(element), decltype(size)::value>(context, batch, tensors); });
  });
}

}  // namespace kernels::cuda
