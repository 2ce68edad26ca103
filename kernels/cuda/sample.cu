// A block samples one row. Weights are integers, the share of the most probable token times 2^44: sums of integers do
// not depend on their order, so that results repeat and agree with sums in double but for draws that lie within about
// 2^-26 of a border. What a filter keeps is always a beginning of the preferred order (larger logits first, then lower
// indices), so a filter is the search for its last token: three passes over the bits of the logits find the value, one
// over the indices finds the token among equals. Without a filter that sorts, the CPU draws in the order of indices,
// and so does this.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/reduce.h"

namespace kernels::cuda {
namespace {

using Amount = unsigned long long;  // what CUDA's atomic operations call 64 bits

constexpr int kThreads = 512, kBuckets = 2048;
constexpr double kOne = 17592186044416.0;  // 2^44, of at most 2^18 tokens

struct SampleRowOptions {
  float repetition_penalty, temperature, top_p, min_p;
  std::int32_t top_k;
  double uniform;
  std::int64_t mask;                              // where the row's words begin, negative for none
  std::int64_t seen_begin, seen_end, banned_end;  // in `marks`: tokens that came before, then banned ones; none twice
};

struct SampleRows {
  GlobalView<const SampleRowOptions> options;
  GlobalView<const std::uint64_t> masks;
  GlobalView<const std::int32_t> marks;
  GlobalView<float> work;  // [rows, tokens]: the logits as they are drawn from, and their weights
  GlobalView<Amount> weights;
  std::int64_t tokens = 0;
};

// Larger for larger values, equal for equal ones; 0 for what is no outcome.
__device__ unsigned key_of(float value) {
  if (!isfinite(value)) return 0;
  const unsigned bits = __float_as_uint(value + 0.0f);  // -0 is 0
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// A place in the preferred order, and how much lies before and at it.
struct Place {
  unsigned key = 0;
  std::int64_t index = 0;
  Amount reached = 0;
  __device__ bool keeps(unsigned other, std::int64_t at) const { return other > key || (other == key && at <= index); }
};

// Where a running sum reaches `need`: the slot, and the sum before it.
struct Crossing {
  int slot;
  Amount before;
};

// The row that the block works on, and its shared memory.
struct Row {
  GlobalView<float> logits;
  GlobalView<Amount> weights;
  std::int64_t tokens;
  SharedArray<unsigned> low, high;  // kBuckets sums, in halves: shared memory adds 32 bits natively
  SharedArray<Amount> sums;         // kThreads
  SharedArray<std::int64_t> found;  // 2

  __device__ void add(int bucket, Amount amount) const {
    const auto part = static_cast<unsigned>(amount);
    const unsigned before = low.atomic_add(bucket, part);
    const unsigned carry = before + part < before ? 1u : 0u;
    const unsigned upper = static_cast<unsigned>(amount >> 32) + carry;
    if (upper != 0) high.atomic_add(bucket, upper);
  }
  __device__ Amount sum_of(int bucket) const { return static_cast<Amount>(high.load(bucket)) << 32 | low.load(bucket); }

  // Of slot_sum(0), slot_sum(1), ... below count, a multiple of 32. Warp 0 searches; all threads get the answer.
  template <typename SlotSum>
  __device__ Crossing crossing(int count, Amount need, const SlotSum& slot_sum) const {
    __syncthreads();
    if (threadIdx.x < kWarpThreads) {
      const int lane = static_cast<int>(threadIdx.x), each = count / kWarpThreads;
      Amount own = 0;
      for (int i = 0; i < each; ++i) own += slot_sum(lane * each + i);
      Amount through = own;
      for (int distance = 1; distance < kWarpThreads; distance *= 2) {
        const Amount before = __shfl_up_sync(kAllLanes, through, static_cast<unsigned>(distance));
        if (lane >= distance) through += before;
      }
      const unsigned reached = __ballot_sync(kAllLanes, through >= need);
      // Nothing reaches it only if the caller asks for more than there is: the last lane then.
      const int chosen = reached == 0 ? kWarpThreads - 1 : __ffs(static_cast<int>(reached)) - 1;
      if (lane == chosen) {
        Amount before = through - own;
        int slot = lane * each;
        while (slot + 1 < (lane + 1) * each && before + slot_sum(slot) < need) before += slot_sum(slot++);
        found[0] = slot;
        found[1] = static_cast<std::int64_t>(before);
      }
    }
    __syncthreads();
    const Crossing answer{static_cast<int>(found.load(0)), static_cast<Amount>(found.load(1))};
    __syncthreads();
    return answer;
  }

  // The first token, in the order of indices, up to which amount_of(token) adds up to `need`.
  template <typename AmountOf>
  __device__ std::int64_t find_by_index(Amount need, const AmountOf& amount_of) const {
    const std::int64_t part = divided_up(tokens, kThreads);
    const auto begin_of = [&](int thread) { return min(tokens, thread * part); };
    const int thread = static_cast<int>(threadIdx.x);
    Amount own = 0;
    for (std::int64_t t = begin_of(thread); t < begin_of(thread + 1); ++t) own += amount_of(t);
    sums[thread] = own;
    const Crossing at = crossing(kThreads, need, [&](int slot) { return sums.load(slot); });
    if (thread == at.slot) {
      Amount reached = at.before;
      std::int64_t last = begin_of(thread);
      for (std::int64_t t = last; t < begin_of(thread + 1); ++t) {
        const Amount amount = amount_of(t);
        if (amount == 0) continue;
        last = t;
        reached += amount;
        if (reached >= need) break;
      }
      found[0] = last;
    }
    __syncthreads();
    const std::int64_t token = found.load(0);
    __syncthreads();
    return token;
  }

  // The end of the shortest beginning of the preferred order that has `need` tokens, or that much weight.
  template <bool kCounts>
  __device__ Place find_preferred(Amount need) const {
    const auto amount_of = [&](std::int64_t t) { return kCounts ? Amount{1} : weights.load(t); };
    Place place;
    Amount before = 0;
    for (int shift = 21; shift >= 0; shift = shift == 21 ? 10 : shift - 10) {
      const int bits = shift == 0 ? 10 : 11;
      for (int b = static_cast<int>(threadIdx.x); b < kBuckets; b += kThreads) {
        low.store(b, 0u);
        high.store(b, 0u);
      }
      __syncthreads();
      for (std::int64_t t = threadIdx.x; t < tokens; t += kThreads) {
        const unsigned key = key_of(logits.load(t));
        if (key == 0 || (shift != 21 && key >> (shift + bits) != place.key)) continue;
        // The largest first.
        add(kBuckets - 1 - static_cast<int>(key >> shift & ((1u << bits) - 1u)), amount_of(t));
      }
      const Crossing at = crossing(kBuckets, need - before, [&](int slot) { return sum_of(slot); });
      place.key = place.key << bits | static_cast<unsigned>(kBuckets - 1 - at.slot);
      before += at.before;
    }
    // Tokens of this value weigh the same.
    place.index = find_by_index(
        need - before, [&](std::int64_t t) { return key_of(logits.load(t)) == place.key ? amount_of(t) : Amount{0}; });
    Amount own = 0;
    for (std::int64_t t = threadIdx.x; t < tokens; t += kThreads) {
      const unsigned key = key_of(logits.load(t));
      if (key != 0 && place.keeps(key, t)) own += weights.load(t);
    }
    place.reached = block_sum(own, sums);
    return place;
  }
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    sample_kernel(GlobalView<const T> logits, SampleRows rows, GlobalView<std::int32_t> tokens, FaultView faults) {
  SharedMemory shared;
  const SharedArray<float> scratch = shared.array<float>(kWarpThreads);
  const std::int64_t n = blockIdx.x, count = rows.tokens;
  const Row row{rows.work.part(n * count, count), rows.weights.part(n * count, count), count,
                shared.array<unsigned>(kBuckets), shared.array<unsigned>(kBuckets),    shared.array<Amount>(kThreads),
                shared.array<std::int64_t>(2)};
  const SampleRowOptions options = rows.options.load(n);
  for (std::int64_t t = threadIdx.x; t < count; t += kThreads) {
    const bool allowed =
        options.mask < 0 || (rows.masks.load(options.mask + t / 64) >> (t % 64) & std::uint64_t{1}) != 0;
    row.logits.store(t, allowed ? widen(logits.load(n * count + t)) : -INFINITY);
  }
  __syncthreads();
  for (std::int64_t i = options.seen_begin + threadIdx.x; i < options.seen_end; i += kThreads) {
    constexpr float kLargest = 3.402823466e38f;  // however small the penalty, a token that may come stays one
    const std::int32_t token = rows.marks.load(i);
    const float logit = row.logits.load(token), penalty = options.repetition_penalty;
    const float penalised = logit < 0.0f ? __fmul_rn(logit, penalty) : logit / penalty;
    row.logits.store(token, isfinite(logit) ? fminf(fmaxf(penalised, -kLargest), kLargest) : penalised);
  }
  __syncthreads();
  for (std::int64_t i = options.seen_end + threadIdx.x; i < options.banned_end; i += kThreads)
    row.logits.store(rows.marks.load(i), -INFINITY);
  __syncthreads();

  float highest = -INFINITY;
  for (std::int64_t t = threadIdx.x; t < count; t += kThreads) {
    const float logit = row.logits.load(t);
    if (isfinite(logit)) highest = fmaxf(highest, logit);
  }
  highest = block_max(highest, scratch);
  if (highest == -INFINITY) {
    if (threadIdx.x == 0) {
      note_fault(faults, Fault::kNoLogit, n, count);
      tokens[n] = 0;
    }
    return;
  }
  const bool greedy = options.temperature == 0.0f;
  const double inverse = greedy ? 1.0 : static_cast<double>(options.temperature);
  Amount own = 0, candidates = 0;
  for (std::int64_t t = threadIdx.x; t < count; t += kThreads) {
    const float logit = row.logits.load(t);
    Amount weight = 0;
    if (isfinite(logit)) {
      const double share = exp((static_cast<double>(logit) - static_cast<double>(highest)) / inverse);
      weight = static_cast<Amount>(rint(share * kOne));
      ++candidates;
    }
    row.weights.store(t, weight);
    own += weight;
  }
  Amount whole = block_sum(own, row.sums);
  candidates = block_sum(candidates, row.sums);
  if (greedy) {
    const Place best = row.find_preferred<true>(1);
    if (threadIdx.x == 0) tokens[n] = static_cast<std::int32_t>(best.index);
    return;
  }
  Place kept;
  kept.index = count;
  bool sorts = false;
  if (options.top_k > 0 && static_cast<Amount>(options.top_k) < candidates) {
    kept = row.find_preferred<true>(static_cast<Amount>(options.top_k));
    whole = kept.reached;
    sorts = true;
  }
  if (options.top_p < 1.0f) {
    const double need = ceil(static_cast<double>(options.top_p) * static_cast<double>(whole));
    kept = row.find_preferred<false>(min(whole, max(Amount{1}, static_cast<Amount>(need))));
    whole = kept.reached;
    sorts = true;
  }
  const auto least = static_cast<Amount>(ceil(static_cast<double>(options.min_p) * kOne));
  if (options.min_p > 0.0f) {
    own = 0;
    for (std::int64_t t = threadIdx.x; t < count; t += kThreads) {
      const Amount weight = row.weights.load(t);
      if (weight >= least && kept.keeps(key_of(row.logits.load(t)), t)) own += weight;
    }
    whole = block_sum(own, row.sums);
  }
  const auto drawn = static_cast<Amount>(options.uniform * static_cast<double>(whole));
  const Amount need = min(whole, drawn + 1);
  std::int64_t token = 0;
  if (sorts) {
    token = row.find_preferred<false>(need).index;
  } else {
    token = row.find_by_index(need, [&](std::int64_t t) {
      const Amount weight = row.weights.load(t);
      return weight >= least ? weight : Amount{0};
    });
  }
  if (threadIdx.x == 0) tokens[n] = static_cast<std::int32_t>(token);
}

template <typename T>
GlobalView<const T> uploaded(Context& context, ScratchFrame& frame, const std::vector<T>& values) {
  if (values.empty()) return {};
  T* place = frame.take<T>(values.size());
  context.memory()->copy(place, values.data(), values.size() * sizeof(T), CopyDirection::kToDevice);
  return GlobalView<T>(place, static_cast<std::int64_t>(values.size()));
}

}  // namespace

void sample_tokens(Context& context, const Tensor& logits, std::span<const SampledRow> list, Tensor& tokens) {
  if (list.empty()) return;
  ScratchFrame frame(context);
  std::vector<SampleRowOptions> options;
  std::vector<std::uint64_t> masks;
  std::vector<std::int32_t> marks;
  const std::int64_t vocabulary = logits.size(1);
  const auto words = static_cast<std::size_t>(divided_up(vocabulary, 64));
  for (const SampledRow& row : list) {
    SampleRowOptions own{row.options.repetition_penalty,
                         row.options.temperature,
                         row.options.top_p,
                         row.options.min_p,
                         row.options.top_k,
                         row.uniform,
                         -1,
                         static_cast<std::int64_t>(marks.size()),
                         0,
                         0};
    marks.insert(marks.end(), row.seen.begin(), row.seen.end());
    own.seen_end = static_cast<std::int64_t>(marks.size());
    marks.insert(marks.end(), row.banned.begin(), row.banned.end());
    own.banned_end = static_cast<std::int64_t>(marks.size());
    if (!row.allowed.empty()) {
      own.mask = static_cast<std::int64_t>(masks.size());
      const std::size_t given = std::min(words, row.allowed.size());
      masks.insert(masks.end(), row.allowed.begin(), row.allowed.begin() + static_cast<std::ptrdiff_t>(given));
      masks.resize(static_cast<std::size_t>(own.mask) + words);
    }
    options.push_back(own);
  }
  const auto count = static_cast<std::int64_t>(list.size()), all = count * vocabulary;
  SampleRows rows;
  rows.options = uploaded(context, frame, options);
  rows.masks = uploaded(context, frame, masks);
  rows.marks = uploaded(context, frame, marks);
  rows.tokens = vocabulary;
  rows.work = GlobalView<float>(frame.floats(all), all);
  rows.weights = GlobalView<Amount>(frame.take<Amount>(static_cast<std::size_t>(all)), all);
  const std::size_t bytes = SharedPlan()
                                .array<float>(kWarpThreads)
                                .array<unsigned>(kBuckets)
                                .array<unsigned>(kBuckets)
                                .array<Amount>(kThreads)
                                .array<std::int64_t>(2)
                                .bytes();
  Session& session = context.cuda_session();
  with_float_type(logits.type(), [&](auto element) {
    using T = decltype(element);
    launch(session, "sample_tokens", sample_kernel<T>, {dim3(static_cast<unsigned>(count)), dim3(kThreads), bytes},
           view_of<T>(logits), rows, view_of<std::int32_t>(tokens), session.faults());
  });
}

}  // namespace kernels::cuda
