// Attention in float32, what the 16-bit versions are measured by: no tensor cores, sums in float32. A warp has rows
// (queries, or keys for dk and dv) and meets tiles of 32 others, one a lane; for sums over the others its lanes share
// the channels.
#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpThreads;
constexpr int kRows = 16, kWarpRows = kRows / kWarps;  // of a block, of a warp
constexpr int kOthers = kWarpThreads;                  // of a tile
constexpr int kMostChannels = 8;                       // of a lane: head sizes up to 256

__device__ int lane_index() { return static_cast<int>(threadIdx.x) % kWarpThreads; }
__device__ int warp_index() { return static_cast<int>(threadIdx.x) / kWarpThreads; }

// Rows of `size` floats, one more apart so that lanes reading a column each meet different banks.
struct FloatTile {
  SharedArray<float> memory;
  int size;

  static std::int64_t elements(int rows, int size) { return static_cast<std::int64_t>(rows) * (size + 1); }
  __device__ FloatTile(SharedMemory& shared, int rows, int size)
      : memory(shared.array<float>(static_cast<std::int64_t>(rows) * (size + 1))), size(size) {}

  __device__ float at(int row, int channel) const { return memory.load(row * (size + 1) + channel); }
  __device__ void load(const HeadRows<const float>& rows, int first, int count) const {
    for (int i = static_cast<int>(threadIdx.x); i < count * size; i += kThreads) {
      const int row = i / size, channel = i % size;
      memory[row * (size + 1) + channel] =
          first + row < rows.tokens ? rows.view.load(rows.index(first + row) + channel) : 0.0f;
    }
  }
  __device__ float dot(int row, const FloatTile& other, int other_row) const {
    float total = 0.0f;
    for (int channel = 0; channel < size; ++channel) total += at(row, channel) * other.at(other_row, channel);
    return total;
  }
};

// sums[c] += sum over the tile's rows of weights[row] * row, for this lane's channels.
__device__ void add_weighted(float (&sums)[kMostChannels], const SharedArray<float>& weights, const FloatTile& tile) {
#pragma unroll
  for (int c = 0; c < kMostChannels; ++c) {
    const int channel = lane_index() + c * kWarpThreads;
    if (channel >= tile.size) break;
    for (int row = 0; row < kOthers; ++row) sums[c] += weights.load(row) * tile.at(row, channel);
  }
}

__device__ void save_row(const float (&sums)[kMostChannels], float factor, const HeadRows<float>& rows, int row) {
  if (row >= rows.tokens) return;
#pragma unroll
  for (int c = 0; c < kMostChannels; ++c) {
    const int channel = lane_index() + c * kWarpThreads;
    if (channel < rows.size) rows.view[rows.index(row) + channel] = sums[c] * factor;
  }
}

__device__ bool is_in(int i, const Range& range) { return i >= range.first && i < range.last; }

// Grid: tiles of queries, heads.
__global__ void __launch_bounds__(kThreads)
    forward_kernel(AttentionBatch batch, GlobalView<const float> q, GlobalView<const float> k,
                   GlobalView<const float> v, GlobalView<float> o, GlobalView<float> lse) {
  SharedMemory shared;
  const FloatTile queries(shared, kRows, batch.head_size), keys(shared, kOthers, batch.head_size),
      values(shared, kOthers, batch.head_size);
  const SharedArray<float> weights = shared.array<float>(kWarps * kOthers).part(warp_index() * kOthers, kOthers);
  const SharedArray<int> ranges = shared.array<int>(2 * kRows);
  if (blockIdx.x == 0 && blockIdx.y == 0) batch.note_faults();
  const int first_query = static_cast<int>(blockIdx.x) * kRows, head = static_cast<int>(blockIdx.y);
  const int key_head = batch.key_head_of(head);
  queries.load(query_rows(batch, q, head), first_query, kRows);
  fill_ranges<kRows>(ranges, first_query, batch.tokens, [&](int query) { return batch.keys_seen_by(query); });
  __syncthreads();
  const Range visited = RowRanges(ranges, 0, kRows).any;

  float sums[kWarpRows][kMostChannels] = {}, maximum[kWarpRows], total[kWarpRows] = {};
  for (float& m : maximum) m = -INFINITY;
  for (int first = visited.first; first < visited.last; first += kOthers) {
    __syncthreads();
    keys.load(key_rows(batch, k, key_head), first, kOthers);
    values.load(key_rows(batch, v, key_head), first, kOthers);
    __syncthreads();
    for (int r = 0; r < kWarpRows; ++r) {
      const int row = warp_index() * kWarpRows + r;
      const bool seen = is_in(first + lane_index(), range_at(ranges, row));
      const float score =
          seen ? batch.scores.bent(queries.dot(row, keys, lane_index())) * batch.scores.factor : -INFINITY;
      const float largest = fmaxf(maximum[r], warp_max(score));
      if (largest == -INFINITY) continue;  // for the whole warp
      const float shrink = exp2f(maximum[r] - largest), weight = exp2f(score - largest);
      maximum[r] = largest;
      total[r] = total[r] * shrink + warp_sum(weight);
      weights[lane_index()] = weight;
      __syncwarp();
      for (float& sum : sums[r]) sum *= shrink;
      add_weighted(sums[r], weights, values);
      __syncwarp();
    }
  }
  for (int r = 0; r < kWarpRows; ++r) {
    const int query = first_query + warp_index() * kWarpRows + r;
    save_row(sums[r], total[r] > 0.0f ? 1.0f / total[r] : 0.0f, query_rows(batch, o, head), query);
    if (lane_index() == 0 && query < batch.tokens)
      lse[static_cast<std::int64_t>(query) * batch.heads + head] = maximum[r] * kLn2 + logf(total[r]);
  }
}

// A probability and the gradient of its score, but for the scale.
struct Weights {
  float probability, gradient;
};
__device__ Weights weights_of(const Scores& scores, float product, float d_probability, float lse, float delta) {
  float slope;
  const float score = scores.bent(product, slope) * scores.factor;
  const float probability = exp2f(score - lse * kLog2E);
  return {probability, probability * (d_probability - delta) * slope};
}

struct SavedRows {
  GlobalView<const float> lse, delta;
  int head, heads;
  __device__ std::int64_t index(int query) const { return static_cast<std::int64_t>(query) * heads + head; }
};

// Grid: tiles of queries, heads.
__global__ void __launch_bounds__(kThreads)
    query_gradient_kernel(AttentionBatch batch, GlobalView<const float> d_o, GlobalView<const float> q,
                          GlobalView<const float> k, GlobalView<const float> v, GlobalView<const float> lse,
                          GlobalView<const float> delta, GlobalView<float> dq) {
  SharedMemory shared;
  const FloatTile queries(shared, kRows, batch.head_size), d_outputs(shared, kRows, batch.head_size),
      keys(shared, kOthers, batch.head_size), values(shared, kOthers, batch.head_size);
  const SharedArray<float> weights = shared.array<float>(kWarps * kOthers).part(warp_index() * kOthers, kOthers);
  const SharedArray<int> ranges = shared.array<int>(2 * kRows);
  const int first_query = static_cast<int>(blockIdx.x) * kRows, head = static_cast<int>(blockIdx.y);
  const int key_head = batch.key_head_of(head);
  queries.load(query_rows(batch, q, head), first_query, kRows);
  d_outputs.load(query_rows(batch, d_o, head), first_query, kRows);
  fill_ranges<kRows>(ranges, first_query, batch.tokens, [&](int query) { return batch.keys_seen_by(query); });
  __syncthreads();
  const Range visited = RowRanges(ranges, 0, kRows).any;
  const SavedRows saved{lse, delta, head, batch.heads};

  float sums[kWarpRows][kMostChannels] = {};
  for (int first = visited.first; first < visited.last; first += kOthers) {
    __syncthreads();
    keys.load(key_rows(batch, k, key_head), first, kOthers);
    values.load(key_rows(batch, v, key_head), first, kOthers);
    __syncthreads();
    for (int r = 0; r < kWarpRows; ++r) {
      const int row = warp_index() * kWarpRows + r, query = first_query + row;
      float gradient = 0.0f;
      if (query < batch.tokens && is_in(first + lane_index(), range_at(ranges, row))) {
        gradient =
            weights_of(batch.scores, queries.dot(row, keys, lane_index()), d_outputs.dot(row, values, lane_index()),
                       saved.lse.load(saved.index(query)), saved.delta.load(saved.index(query)))
                .gradient;
      }
      weights[lane_index()] = gradient;
      __syncwarp();
      add_weighted(sums[r], weights, keys);
      __syncwarp();
    }
  }
  for (int r = 0; r < kWarpRows; ++r)
    save_row(sums[r], batch.scores.scale, query_rows(batch, dq, head), first_query + warp_index() * kWarpRows + r);
}

// Grid: tiles of keys, key heads. All query heads of the group are summed here, in order.
__global__ void __launch_bounds__(kThreads)
    key_gradient_kernel(AttentionBatch batch, GlobalView<const float> d_o, GlobalView<const float> q,
                        GlobalView<const float> k, GlobalView<const float> v, GlobalView<const float> lse,
                        GlobalView<const float> delta, GlobalView<float> dk, GlobalView<float> dv) {
  SharedMemory shared;
  const FloatTile keys(shared, kRows, batch.head_size), values(shared, kRows, batch.head_size),
      queries(shared, kOthers, batch.head_size), d_outputs(shared, kOthers, batch.head_size);
  const SharedArray<float> both = shared.array<float>(2 * kWarps * kOthers);
  const SharedArray<float> probabilities = both.part(warp_index() * kOthers, kOthers),
                           gradients = both.part((kWarps + warp_index()) * kOthers, kOthers);
  const SharedArray<int> ranges = shared.array<int>(2 * kRows);
  const int first_key = static_cast<int>(blockIdx.x) * kRows, key_head = static_cast<int>(blockIdx.y);
  const int group = batch.heads / batch.key_heads;
  keys.load(key_rows(batch, k, key_head), first_key, kRows);
  values.load(key_rows(batch, v, key_head), first_key, kRows);
  fill_ranges<kRows>(ranges, first_key, batch.tokens, [&](int key) { return batch.queries_that_see(key); });
  __syncthreads();
  const Range visited = RowRanges(ranges, 0, kRows).any;

  float dk_sums[kWarpRows][kMostChannels] = {}, dv_sums[kWarpRows][kMostChannels] = {};
  for (int head = key_head * group; head < (key_head + 1) * group; ++head) {
    const SavedRows saved{lse, delta, head, batch.heads};
    for (int first = visited.first; first < visited.last; first += kOthers) {
      __syncthreads();
      queries.load(query_rows(batch, q, head), first, kOthers);
      d_outputs.load(query_rows(batch, d_o, head), first, kOthers);
      __syncthreads();
      for (int r = 0; r < kWarpRows; ++r) {
        const int row = warp_index() * kWarpRows + r, query = first + lane_index();
        Weights own{0.0f, 0.0f};
        if (is_in(query, range_at(ranges, row))) {
          own = weights_of(batch.scores, keys.dot(row, queries, lane_index()), values.dot(row, d_outputs, lane_index()),
                           saved.lse.load(saved.index(query)), saved.delta.load(saved.index(query)));
        }
        probabilities[lane_index()] = own.probability;
        gradients[lane_index()] = own.gradient;
        __syncwarp();
        add_weighted(dv_sums[r], probabilities, d_outputs);
        add_weighted(dk_sums[r], gradients, queries);
        __syncwarp();
      }
    }
  }
  for (int r = 0; r < kWarpRows; ++r) {
    const int key = first_key + warp_index() * kWarpRows + r;
    save_row(dk_sums[r], batch.scores.scale, key_rows(batch, dk, key_head), key);
    save_row(dv_sums[r], 1.0f, key_rows(batch, dv, key_head), key);
  }
}

// `rows`, `others`: how many tiles of each the block holds; `weights`: a warp's weights of a tile.
LaunchShape shape_of(const AttentionBatch& batch, int heads, int rows, int others, int weights) {
  SharedPlan plan;
  for (int i = 0; i < rows; ++i) plan.array<float>(FloatTile::elements(kRows, batch.head_size));
  for (int i = 0; i < others; ++i) plan.array<float>(FloatTile::elements(kOthers, batch.head_size));
  plan.array<float>(weights * kWarps * kOthers).array<int>(2 * kRows);
  return {dim3(static_cast<unsigned>(divided_up(batch.tokens, kRows)), static_cast<unsigned>(heads)), dim3(kThreads),
          plan.bytes()};
}

}  // namespace

void attention_forward_float32(Context& context, const AttentionBatch& batch, const Tensor& q, const Tensor& k,
                               const Tensor& v, Tensor& o, Tensor& lse) {
  launch(context.cuda_session(), "attention_forward (float32)", forward_kernel, shape_of(batch, batch.heads, 1, 2, 1),
         batch, view_of<float>(q), view_of<float>(k), view_of<float>(v), view_of<float>(o), view_of<float>(lse));
}

void attention_backward_float32(Context& context, const AttentionBatch& batch, const AttentionGradientTensors& t) {
  launch(context.cuda_session(), "attention_backward (float32 keys)", key_gradient_kernel,
         shape_of(batch, batch.key_heads, 2, 2, 2), batch, view_of<float>(t.d_o), view_of<float>(t.q),
         view_of<float>(t.k), view_of<float>(t.v), view_of<float>(t.lse), t.delta, view_of<float>(t.dk),
         view_of<float>(t.dv));
  launch(context.cuda_session(), "attention_backward (float32 queries)", query_gradient_kernel,
         shape_of(batch, batch.heads, 2, 2, 1), batch, view_of<float>(t.d_o), view_of<float>(t.q), view_of<float>(t.k),
         view_of<float>(t.v), view_of<float>(t.lse), t.delta, view_of<float>(t.dq));
}

}  // namespace kernels::cuda
