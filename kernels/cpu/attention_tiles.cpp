#include "kernels/cpu/attention_tiles.h"

#include "kernels/cpu/simd.h"

namespace kernels::cpu {

constexpr std::int64_t kAhead = 16;  // rows asked for before they are copied

ANNEAL_SIMD void pack_rows(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size,
                           float factor, float* __restrict to) {
  const std::int64_t width = padded(head_size);
  for (std::int64_t i = 0; i < count; ++i) {
    if (i + kAhead < count) ask_to_read(from + (i + kAhead) * row_stride, row_stride, 1, head_size);
    for (std::int64_t d = 0; d < head_size; ++d) to[i * width + d] = factor * from[i * row_stride + d];
    for (std::int64_t d = head_size; d < width; ++d) to[i * width + d] = 0.0f;
  }
}

ANNEAL_SIMD void unpack_rows(const float* from, std::int64_t count, std::int64_t head_size, float factor,
                             float* __restrict to, std::int64_t row_stride) {
  const std::int64_t width = padded(head_size);
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t d = 0; d < head_size; ++d) to[i * row_stride + d] = factor * from[i * width + d];
  }
}

ANNEAL_SIMD void pack_panels(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size,
                             float* __restrict to) {
  for (std::int64_t first = 0; first < count; first += 16, to += 16 * head_size) {
    const std::int64_t filled = std::min<std::int64_t>(16, count - first);
    ask_to_read(from + (first + filled) * row_stride, row_stride, std::min<std::int64_t>(16, count - first - filled),
                head_size);
    for (std::int64_t i = 0; i < filled; ++i) {
      for (std::int64_t d = 0; d < head_size; ++d) to[d * 16 + i] = from[(first + i) * row_stride + d];
    }
    for (std::int64_t i = filled; i < 16; ++i) {
      for (std::int64_t d = 0; d < head_size; ++d) to[d * 16 + i] = 0.0f;
    }
  }
}

}  // namespace kernels::cpu
