// One query token against a cache: bound by reading the cache, so each (sequence, key/value head) reads its keys and
// values once for all query heads of the group.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/core/parallel.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

ANNEAL_SIMD float scaled_dot(const float* a, const float* b, std::int64_t count, float scale) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += a[i] * b[i];
  return scale * total;
}

ANNEAL_SIMD void add_scaled(const float* x, float factor, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

}  // namespace

void attention_decode(Context& context, const Tensor& q, std::span<const CachedSequence> sequences,
                      const AttentionOptions& options, Tensor& o) {
  if (sequences.empty()) return;
  const std::int64_t heads = q.size(1), size = q.size(2), key_heads = sequences[0].keys->size(1),
                     group = heads / key_heads;
  std::int64_t longest = 0;
  for (const CachedSequence& sequence : sequences) longest = std::max(longest, sequence.length);
  ScratchFrame frame(context);
  const std::int64_t slot_floats = (group * longest + 15) / 16 * 16;
  float* memory = frame.floats(slot_floats * context.threads());
  const float* queries = q.data<float>();
  float* outputs = o.data<float>();
  const auto count = static_cast<std::int64_t>(sequences.size());
  parallel_tasks(context, count * key_heads, [&](std::int64_t index, int slot) {
    const CachedSequence& sequence = sequences[static_cast<std::size_t>(index / key_heads)];
    const std::int64_t key_head = index % key_heads, stride = key_heads * size;
    const std::int64_t first =
        options.sliding_window > 0 ? std::max<std::int64_t>(0, sequence.length - options.sliding_window) : 0;
    const std::int64_t seen = sequence.length - first, offset = first * stride + key_head * size;
    const float* keys = sequence.keys->data<float>() + offset;
    const float* values = sequence.values->data<float>() + offset;
    const std::int64_t place = (index / key_heads * heads + key_head * group) * size;
    float* scores = memory + slot * slot_floats;
    for (std::int64_t j = 0; j < seen; ++j) {
      for (std::int64_t g = 0; g < group; ++g) {
        scores[g * seen + j] = scaled_dot(queries + place + g * size, keys + j * stride, size, options.scale);
      }
    }
    if (options.softcap > 0.0f) softcap_row(scores, group * seen, options.softcap);
    for (std::int64_t g = 0; g < group; ++g) softmax_row(scores + g * seen, seen, scores + g * seen);
    std::fill_n(outputs + place, group * size, 0.0f);
    for (std::int64_t j = 0; j < seen; ++j) {
      for (std::int64_t g = 0; g < group; ++g) {
        add_scaled(values + j * stride, scores[g * seen + j], size, outputs + place + g * size);
      }
    }
  });
}

}  // namespace kernels::cpu
