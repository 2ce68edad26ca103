#include "kernels/cpu/attention_tiles.h"

#include "kernels/cpu/simd.h"

namespace kernels::cpu {

ANNEAL_SIMD void pack_rows(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size,
                           float factor, float* __restrict to) {
  const std::int64_t width = padded(head_size);
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t d = 0; d < head_size; ++d) to[i * width + d] = factor * from[i * row_stride + d];
    for (std::int64_t d = head_size; d < width; ++d) to[i * width + d] = 0.0f;
  }
}

ANNEAL_SIMD void pack_panels(const float* from, std::int64_t row_stride, std::int64_t count, std::int64_t head_size,
                             float* __restrict to) {
  for (std::int64_t first = 0; first < count; first += 16) {
    for (std::int64_t d = 0; d < head_size; ++d, to += 16) {
      for (std::int64_t i = 0; i < 16; ++i) to[i] = first + i < count ? from[(first + i) * row_stride + d] : 0.0f;
    }
  }
}

}  // namespace kernels::cpu
