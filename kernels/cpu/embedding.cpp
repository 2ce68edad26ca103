#include "kernels/core/parallel.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

ANNEAL_SIMD void add_row(const float* x, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += x[i];
}

ANNEAL_SIMD void add_scaled_row(const float* x, std::int64_t count, float factor, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

// A bag's rows lie anywhere: what few channels cost is the loop round them, so that it is unrolled.
constexpr std::int64_t kFewChannels = 16;

struct Bag {
  const std::int32_t* ids;
  const float* factors;
  std::int64_t count;
};

template <int kChannels>
ANNEAL_INLINE void gather(const float* table, const Bag& bag, float* sum) {
  float sums[kChannels] = {};
  for (std::int64_t n = 0; n < bag.count; ++n) {
    const float* row = table + static_cast<std::int64_t>(bag.ids[n]) * kChannels;
    for (int c = 0; c < kChannels; ++c) sums[c] += bag.factors[n] * row[c];
  }
  for (int c = 0; c < kChannels; ++c) sum[c] = sums[c];
}

template <int kChannels>
ANNEAL_INLINE void scatter(const float* slope, const Bag& bag, float* table) {
  float slopes[kChannels];
  for (int c = 0; c < kChannels; ++c) slopes[c] = slope[c];
  for (std::int64_t n = 0; n < bag.count; ++n) {
    float* row = table + static_cast<std::int64_t>(bag.ids[n]) * kChannels;
    for (int c = 0; c < kChannels; ++c) row[c] += bag.factors[n] * slopes[c];
  }
}

// Calls use.template operator()<channels>() for 1 to kFewChannels.
template <typename Use, int kChannels = 1>
ANNEAL_INLINE void with_channels(std::int64_t channels, const Use& use) {
  if (channels == kChannels) return use.template operator()<kChannels>();
  if constexpr (kChannels < kFewChannels) with_channels<Use, kChannels + 1>(channels, use);
}

ANNEAL_SIMD void gather_few(const float* table, const Bag& bag, std::int64_t channels, float* sum) {
  with_channels(channels, [&]<int kChannels>() ANNEAL_ALWAYS_INLINE { gather<kChannels>(table, bag, sum); });
}

ANNEAL_SIMD void scatter_few(const float* slope, const Bag& bag, std::int64_t channels, float* table) {
  with_channels(channels, [&]<int kChannels>() ANNEAL_ALWAYS_INLINE { scatter<kChannels>(slope, bag, table); });
}

}  // namespace

void embedding_forward(Context& context, const Tensor& table, const Tensor& ids, Tensor& y) {
  const std::int64_t channels = table.size(1);
  const FloatSource source = float_source(table);
  const std::int32_t* tokens = ids.data<std::int32_t>();
  float* rows = y.data<float>();
  parallel_for(context, ids.count(), 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      if (tokens[n] < 0) {
        std::fill_n(rows + n * channels, channels, 0.0f);
      } else {
        widen(source, tokens[n] * channels, channels, rows + n * channels);
      }
    }
  });
}

// Threads share the channels, not the tokens: a token may repeat, and its rows are added in order.
void embedding_backward(Context& context, const Tensor& ids, const Tensor& dy, Tensor& dtable) {
  const std::int64_t channels = dtable.size(1), count = ids.count();
  const std::int32_t* tokens = ids.data<std::int32_t>();
  const float* rows = dy.data<float>();
  float* table = dtable.data<float>();
  parallel_for(context, channels, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < count; ++n) {
      if (tokens[n] < 0) continue;
      add_row(rows + n * channels + begin, end - begin, table + tokens[n] * channels + begin);
    }
  });
}

void embedding_bag_forward(Context& context, const Tensor& table, const Tensor& ids, const Tensor& offsets,
                           const Tensor& weights, Tensor& y) {
  const std::int64_t channels = table.size(1);
  const float* rows = table.data<float>();
  const std::int32_t* tokens = ids.data<std::int32_t>();
  const std::int32_t* borders = offsets.data<std::int32_t>();
  const float* factors = weights.data<float>();
  float* sums = y.data<float>();
  parallel_for(context, y.size(0), 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t bag = begin; bag < end; ++bag) {
      if (channels <= kFewChannels) {
        const Bag entries{tokens + borders[bag], factors + borders[bag], borders[bag + 1] - borders[bag]};
        gather_few(rows, entries, channels, sums + bag * channels);
        continue;
      }
      std::fill_n(sums + bag * channels, channels, 0.0f);
      for (std::int32_t n = borders[bag]; n < borders[bag + 1]; ++n)
        add_scaled_row(rows + tokens[n] * channels, channels, factors[n], sums + bag * channels);
    }
  });
}

// Threads share the channels, as in embedding_backward.
void embedding_bag_backward(Context& context, const Tensor& ids, const Tensor& offsets, const Tensor& weights,
                            const Tensor& dy, Tensor& dtable) {
  const std::int64_t channels = dtable.size(1);
  const std::int32_t* tokens = ids.data<std::int32_t>();
  const std::int32_t* borders = offsets.data<std::int32_t>();
  const float* factors = weights.data<float>();
  const float* slopes = dy.data<float>();
  float* table = dtable.data<float>();
  if (channels <= kFewChannels) {
    for (std::int64_t bag = 0; bag < dy.size(0); ++bag) {
      const Bag entries{tokens + borders[bag], factors + borders[bag], borders[bag + 1] - borders[bag]};
      scatter_few(slopes + bag * channels, entries, channels, table);
    }
    return;
  }
  parallel_for(context, channels, 32, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t bag = 0; bag < dy.size(0); ++bag) {
      for (std::int32_t n = borders[bag]; n < borders[bag + 1]; ++n)
        add_scaled_row(slopes + bag * channels + begin, end - begin, factors[n], table + tokens[n] * channels + begin);
    }
  });
}

}  // namespace kernels::cpu
