// One query token a sequence against its cache. Bound by reading the cache: a block has one key/value head of one
// sequence, up to 8 of the query heads that share it, and one of several splits of the keys; groups of lanes take a row
// each, 16 bytes a lane, and keep a running softmax. Groups are joined in shared memory, splits by a second kernel,
// both in a fixed order.
#include <algorithm>
#include <array>

#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kChannels = 8;  // of a lane
constexpr int kFewestKeys = 128, kMostSplits = 64;
constexpr int kSequencesPerLaunch = 64;  // whose caches lie apart: arguments of a kernel are at most 4 KiB

struct DecodeShape {
  int heads, key_heads, head_size;
  int chunks;  // of the query heads that share a key head
  int window, splits;
  int first_sequence;  // of this launch
  bool vectors;
  Scores scores;
};

// Caches: length(b, faults), and where token j's row of a head begins in keys(b) and values(b); -1 when there is none.
// One for all sequences of a launch, each with memory of its own.
template <typename T>
struct SequenceCaches {
  GlobalView<const T> keys_of[kSequencesPerLaunch], values_of[kSequencesPerLaunch];
  int lengths[kSequencesPerLaunch];
  int key_heads, head_size;

  __device__ const GlobalView<const T>& keys(int b) const { return keys_of[b]; }
  __device__ const GlobalView<const T>& values(int b) const { return values_of[b]; }
  __device__ int length(int b, const FaultView&) const { return lengths[b]; }
  __device__ std::int64_t row(int, int j, int key_head, const FaultView&) const {
    return (static_cast<std::int64_t>(j) * key_heads + key_head) * head_size;
  }
};

template <typename T>
struct PagedCaches {
  GlobalView<const T> key_pool, value_pool;
  GlobalView<const std::int32_t> block_table, lengths;
  int table_width, pages, page_size;
  std::int64_t page_stride, token_stride, head_stride;

  __device__ const GlobalView<const T>& keys(int) const { return key_pool; }
  __device__ const GlobalView<const T>& values(int) const { return value_pool; }
  __device__ int length(int b, const FaultView& faults) const {
    const int length = lengths.load(b), most = table_width * page_size;
    if (length >= 0 && length <= most) return length;
    if (threadIdx.x == 0) note_fault(faults, Fault::kCacheLength, length, most);
    return 0;
  }
  __device__ std::int64_t row(int b, int j, int key_head, const FaultView& faults) const {
    const int page = block_table.load(static_cast<std::int64_t>(b) * table_width + j / page_size);
    if (page < 0 || page >= pages) {
      note_fault(faults, Fault::kPage, page, pages);
      return -1;
    }
    return page * page_stride + j % page_size * token_stride + key_head * head_stride;
  }
};

// Eight neighbouring channels as they are stored.
template <typename T>
struct Eight {
  T values[kChannels];

  __device__ static Eight of(const GlobalView<const T>& view, std::int64_t row, int channel, int head_size,
                             bool vectors) {
    constexpr int kAtOnce = 16 / static_cast<int>(sizeof(T));
    Eight eight;
#pragma unroll
    for (int first = 0; first < kChannels; first += kAtOnce) {
      if (vectors && row >= 0 && channel < head_size) {
        const Vector<T, kAtOnce> part = view.template load<kAtOnce>(row + channel + first);
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) eight.values[first + i] = part[i];
        continue;
      }
#pragma unroll
      for (int i = first; i < first + kAtOnce; ++i)
        eight.values[i] = row >= 0 && channel + i < head_size ? view.load(row + channel + i) : T{};
    }
    return eight;
  }
};

// A running softmax and what it has weighted so far, for one query head.
struct Attended {
  float maximum = -INFINITY, sum = 0.0f, output[kChannels] = {};
};

template <int kRowLanes>
__device__ float sum_over_row(float value) {
#pragma unroll
  for (int distance = kRowLanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
  return value;
}

// Absorbs kKeys keys, of which those with rows[k] < 0 do not count, into the softmax of kHeads query heads. All lanes
// of the warp call.
template <int kRowLanes, int kHeads, int kKeys, typename T>
__device__ void absorb(const Scores& rule, const float (&queries)[kHeads][kChannels], const std::int64_t (&rows)[kKeys],
                       const Eight<T> (&keys)[kKeys], const Eight<T> (&values)[kKeys], Attended (&attended)[kHeads]) {
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    float scores[kKeys], largest = attended[h].maximum;
#pragma unroll
    for (int k = 0; k < kKeys; ++k) {
      float product = 0.0f;
#pragma unroll
      for (int c = 0; c < kChannels; ++c) product += queries[h][c] * widen(keys[k].values[c]);
      product = sum_over_row<kRowLanes>(product);
      scores[k] = rows[k] >= 0 ? rule.bent(product) * rule.factor : -INFINITY;
      largest = fmaxf(largest, scores[k]);
    }
    const float base = largest == -INFINITY ? 0.0f : largest;
    const float shrink = exp2_fast(attended[h].maximum - base);
    attended[h].maximum = largest;
    attended[h].sum *= shrink;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) attended[h].output[c] *= shrink;
#pragma unroll
    for (int k = 0; k < kKeys; ++k) {
      const float weight = exp2_fast(scores[k] - base);
      attended[h].sum += weight;
#pragma unroll
      for (int c = 0; c < kChannels; ++c) attended[h].output[c] += weight * widen(values[k].values[c]);
    }
  }
}

// What a split leaves for the join: outputs [sequences, heads, splits, head_size] not yet divided by their sums, and
// maximum and sum of each. Absent with one split.
struct Partials {
  GlobalView<float> outputs, statistics;
};

// Joins the groups of the block: writes head by head what all of them attended to.
template <int kRowLanes, int kHeads, typename T>
__device__ void join_groups(const DecodeShape& shape, const Attended (&attended)[kHeads], const GlobalView<T>& o,
                            const Partials& partials, std::int64_t first_head, int heads, SharedMemory& shared) {
  constexpr int kGroups = kThreads / kRowLanes, kWidth = kRowLanes * kChannels;
  const SharedArray<float> outputs = shared.array<float>(kGroups * kHeads * kWidth),
                           maxima = shared.array<float>(kGroups * kHeads), sums = shared.array<float>(kGroups * kHeads);
  const int group = static_cast<int>(threadIdx.x) / kRowLanes, lane = static_cast<int>(threadIdx.x) % kRowLanes;
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    const int place = group * kHeads + h;
    store_floats(outputs, place * kWidth + lane * kChannels, attended[h].output);
    if (lane != 0) continue;
    maxima[place] = attended[h].maximum;
    sums[place] = attended[h].sum;
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < heads * kWidth; i += kThreads) {
    const int h = i / kWidth, channel = i % kWidth;
    if (channel >= shape.head_size) continue;
    float maximum = -INFINITY, sum = 0.0f, output = 0.0f;
    for (int g = 0; g < kGroups; ++g) maximum = fmaxf(maximum, maxima.load(g * kHeads + h));
    for (int g = 0; maximum > -INFINITY && g < kGroups; ++g) {
      const float share = exp2_fast(maxima.load(g * kHeads + h) - maximum);
      sum += share * sums.load(g * kHeads + h);
      output += share * outputs.load((g * kHeads + h) * kWidth + channel);
    }
    const std::int64_t head = first_head + h;
    if (shape.splits == 1) {
      o[head * shape.head_size + channel] = narrow<T>(sum > 0.0f ? output / sum : 0.0f);
      continue;
    }
    const std::int64_t place = head * shape.splits + blockIdx.z;
    partials.outputs[place * shape.head_size + channel] = output;
    if (channel != 0) continue;
    partials.statistics[2 * place] = maximum;
    partials.statistics[2 * place + 1] = sum;
  }
}

// Grid: sequences, chunks of the query heads of all key heads, splits.
template <typename Caches, typename T, int kRowLanes, int kHeads>
__global__ void __launch_bounds__(kThreads) decode_kernel(DecodeShape shape, Caches caches, GlobalView<const T> q,
                                                          GlobalView<T> o, Partials partials, FaultView faults) {
  constexpr int kGroups = kThreads / kRowLanes, kKeys = kHeads > 4 ? 2 : 4;  // of a group at once
  SharedMemory shared;
  const int b = static_cast<int>(blockIdx.x), key_head = static_cast<int>(blockIdx.y) / shape.chunks;
  const int group_heads = shape.heads / shape.key_heads, chunk = static_cast<int>(blockIdx.y) % shape.chunks * kHeads;
  const int heads = min(kHeads, group_heads - chunk);
  const std::int64_t first_head =
      (static_cast<std::int64_t>(shape.first_sequence) + b) * shape.heads + key_head * group_heads + chunk;
  const int group = static_cast<int>(threadIdx.x) / kRowLanes;
  const int channel = static_cast<int>(threadIdx.x) % kRowLanes * kChannels;

  float queries[kHeads][kChannels];
  Attended attended[kHeads];
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    const Eight<T> query =
        Eight<T>::of(q, h < heads ? (first_head + h) * shape.head_size : -1, channel, shape.head_size, shape.vectors);
#pragma unroll
    for (int c = 0; c < kChannels; ++c) queries[h][c] = widen(query.values[c]);
  }

  const int length = caches.length(b, faults);
  const int begin = shape.window > 0 ? max(0, length - shape.window) : 0;
  const int of_split = (length - begin + shape.splits - 1) / shape.splits;
  const int first = begin + static_cast<int>(blockIdx.z) * of_split, last = min(length, first + of_split);
  for (int base = first; base < last; base += kGroups * kKeys) {
    std::int64_t rows[kKeys];
    Eight<T> keys[kKeys], values[kKeys];
#pragma unroll
    for (int k = 0; k < kKeys; ++k) {
      const int j = base + k * kGroups + group;
      rows[k] = j < last ? caches.row(b, j, key_head, faults) : -1;
      keys[k] = Eight<T>::of(caches.keys(b), rows[k], channel, shape.head_size, shape.vectors);
    }
#pragma unroll
    for (int k = 0; k < kKeys; ++k)
      values[k] = Eight<T>::of(caches.values(b), rows[k], channel, shape.head_size, shape.vectors);
    absorb<kRowLanes>(shape.scores, queries, rows, keys, values, attended);
  }
  join_groups<kRowLanes>(shape, attended, o, partials, first_head, heads, shared);
}

// o = the splits of a head joined; a warp a head.
constexpr int kJoinRows = 4;
template <typename T>
__global__ void __launch_bounds__(kJoinRows* kWarpThreads)
    join_splits_kernel(GlobalView<const float> outputs, GlobalView<const float> statistics, GlobalView<T> o,
                       std::int64_t rows, int splits, int head_size) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kJoinRows + threadIdx.y;
  if (row >= rows) return;
  float maximum = -INFINITY;
  for (int s = 0; s < splits; ++s) maximum = fmaxf(maximum, statistics.load(2 * (row * splits + s)));
  for (int d = static_cast<int>(threadIdx.x); d < head_size; d += kWarpThreads) {
    float sum = 0.0f, output = 0.0f;
    for (int s = 0; maximum > -INFINITY && s < splits; ++s) {
      const std::int64_t place = row * splits + s;
      const float share = exp2_fast(statistics.load(2 * place) - maximum);
      sum += share * statistics.load(2 * place + 1);
      output += share * outputs.load(place * head_size + d);
    }
    o[row * head_size + d] = narrow<T>(sum > 0.0f ? output / sum : 0.0f);
  }
}

// Of all launches of a call.
struct DecodeCall {
  Context& context;
  const Tensor& q;
  Tensor& o;
  DecodeShape shape;
  Partials partials;
};

template <typename Caches, typename T, int kRowLanes, int kHeads>
void start(DecodeCall& call, const Caches& caches, int sequences) {
  constexpr int kGroups = kThreads / kRowLanes;
  SharedPlan plan;
  for (const int count : {kGroups * kHeads * kRowLanes * kChannels, kGroups * kHeads, kGroups * kHeads})
    plan.array<float>(count);
  Session& session = call.context.cuda_session();
  const DecodeShape& shape = call.shape;
  launch(session, "attention_decode", decode_kernel<Caches, T, kRowLanes, kHeads>,
         {dim3(static_cast<unsigned>(sequences), static_cast<unsigned>(shape.key_heads * shape.chunks),
               static_cast<unsigned>(shape.splits)),
          dim3(kThreads), plan.bytes()},
         shape, caches, view_of<T>(call.q), view_of<T>(call.o), call.partials, session.faults());
}

template <typename Caches, typename T, int kRowLanes>
void start(DecodeCall& call, const Caches& caches, int sequences, int heads_at_once) {
  if constexpr (sizeof(T) == 2) {
    if (heads_at_once == 1) return start<Caches, T, kRowLanes, 1>(call, caches, sequences);
    if (heads_at_once == 8) return start<Caches, T, kRowLanes, 8>(call, caches, sequences);
  }
  start<Caches, T, kRowLanes, 4>(call, caches, sequences);
}

// Query heads that one block takes of the `group` that share a key head.
int heads_at_once(DataType type, int group) {
  if (type == DataType::kFloat32) return 4;
  return group == 1 ? 1 : group <= 4 ? 4 : 8;
}

template <typename Caches, typename T>
void start(DecodeCall& call, const Caches& caches, int sequences) {
  const int heads = heads_at_once(call.q.type(), call.shape.heads / call.shape.key_heads);
  if (call.shape.head_size <= 64) return start<Caches, T, 8>(call, caches, sequences, heads);
  if (call.shape.head_size <= 128) return start<Caches, T, 16>(call, caches, sequences, heads);
  start<Caches, T, 32>(call, caches, sequences, heads);
}

// Fills the device with blocks twice where the keys are many and the sequences few. Depends on shapes alone.
int splits_of(const Session& session, std::int64_t blocks, std::int64_t longest) {
  const std::int64_t wanted = divided_up(std::int64_t{2} * 4 * session.multiprocessors(), blocks);
  return static_cast<int>(std::clamp<std::int64_t>(std::min(wanted, longest / kFewestKeys), 1, kMostSplits));
}

// Runs body(call), which launches over all sequences, and joins the splits.
template <typename T, typename Body>
void decode(Context& context, const Tensor& q, std::int64_t key_heads, std::int64_t longest,
            const AttentionOptions& options, bool vectors, Tensor& o, const Body& body) {
  const int group = static_cast<int>(q.size(1) / key_heads);
  const int chunks = static_cast<int>(divided_up(group, heads_at_once(q.type(), group)));
  const std::int64_t window = std::min(options.sliding_window, longest), rows = q.size(0) * q.size(1);
  if (window > 0) longest = window;
  const int splits = splits_of(context.cuda_session(), q.size(0) * key_heads * chunks, longest);
  DecodeCall call{context,
                  q,
                  o,
                  {static_cast<int>(q.size(1)), static_cast<int>(key_heads), static_cast<int>(q.size(2)), chunks,
                   static_cast<int>(window), splits, 0, vectors, Scores(options)},
                  {}};
  if (splits == 1) return body(call);
  ScratchFrame frame(context);
  const std::int64_t outputs = rows * splits * q.size(2), statistics = rows * splits * 2;
  call.partials = {{frame.floats(outputs), outputs}, {frame.floats(statistics), statistics}};
  body(call);
  launch(context.cuda_session(), "attention_decode (splits)", join_splits_kernel<T>,
         {dim3(static_cast<unsigned>(divided_up(rows, kJoinRows))), dim3(kWarpThreads, kJoinRows)},
         call.partials.outputs, call.partials.statistics, view_of<T>(o), rows, splits, static_cast<int>(q.size(2)));
}

template <typename T>
SequenceCaches<T> caches_of(std::span<const CachedSequence> sequences) {
  SequenceCaches<T> caches{};
  caches.key_heads = static_cast<int>(sequences[0].keys->size(1));
  caches.head_size = static_cast<int>(sequences[0].keys->size(2));
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    caches.keys_of[i] = view_of<T>(*sequences[i].keys);
    caches.values_of[i] = view_of<T>(*sequences[i].values);
    caches.lengths[i] = static_cast<int>(sequences[i].length);
  }
  return caches;
}

}  // namespace

void attention_decode(Context& context, const Tensor& q, std::span<const CachedSequence> sequences,
                      const AttentionOptions& options, Tensor& o) {
  if (sequences.empty() || q.count() == 0) return;
  std::int64_t longest = 0;
  with_float_type(q.type(), [&](auto element) {
    using T = decltype(element);
    bool vectors = vector_width<T>(q.size(2), {q.raw_data()}) > 1 && q.size(2) % kChannels == 0;
    for (const CachedSequence& sequence : sequences) {
      longest = std::max(longest, sequence.length);
      vectors = vectors && vector_width<T>(q.size(2), {sequence.keys->raw_data(), sequence.values->raw_data()}) > 1;
    }
    decode<T>(context, q, sequences[0].keys->size(1), longest, options, vectors, o, [&](DecodeCall& call) {
      for (std::size_t first = 0; first < sequences.size(); first += kSequencesPerLaunch) {
        const auto part =
            sequences.subspan(first, std::min<std::size_t>(kSequencesPerLaunch, sequences.size() - first));
        call.shape.first_sequence = static_cast<int>(first);
        start<SequenceCaches<T>, T>(call, caches_of<T>(part), static_cast<int>(part.size()));
      }
    });
  });
}

void paged_attention_decode(Context& context, const Tensor& q, const PagedCache& cache, const AttentionOptions& options,
                            Tensor& o) {
  if (q.count() == 0) return;
  const bool tokens_first = cache.layout == PageLayout::kTokensFirst;
  const std::int64_t size = q.size(2), page_size = cache.keys->size(tokens_first ? 1 : 2),
                     key_heads = cache.keys->size(tokens_first ? 2 : 1), width = cache.block_table->size(1);
  with_float_type(q.type(), [&](auto element) {
    using T = decltype(element);
    const bool vectors = size % kChannels == 0 &&
                         vector_width<T>(size, {q.raw_data(), cache.keys->raw_data(), cache.values->raw_data()}) > 1;
    const PagedCaches<T> caches{view_of<T>(*cache.keys),
                                view_of<T>(*cache.values),
                                view_of<std::int32_t>(*cache.block_table),
                                view_of<std::int32_t>(*cache.lengths),
                                static_cast<int>(width),
                                static_cast<int>(cache.keys->size(0)),
                                static_cast<int>(page_size),
                                page_size * key_heads * size,
                                tokens_first ? key_heads * size : size,
                                tokens_first ? size : page_size * size};
    decode<T>(context, q, key_heads, width * page_size, options, vectors, o,
              [&](DecodeCall& call) { start<PagedCaches<T>, T>(call, caches, static_cast<int>(q.size(0))); });
  });
}

}  // namespace kernels::cuda
