#include <cmath>

#include "kernels/core/parallel.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

// One head: pairs (first[i], second[i]).
ANNEAL_SIMD void rotate_head(const float* cosine, const float* sine, float direction, std::int64_t pairs, float* first,
                             float* second) {
#pragma omp simd
  for (std::int64_t i = 0; i < pairs; ++i) {
    const float s = direction * sine[i], a = first[i], b = second[i];
    first[i] = a * cosine[i] - b * s;
    second[i] = b * cosine[i] + a * s;
  }
}

}  // namespace

void make_rotary_table(Context& context, const Tensor& positions, const Tensor& inv_freq, float attention_factor,
                       RotaryTable& table) {
  const std::int64_t tokens = positions.count(), pairs = inv_freq.count();
  const std::int32_t* places = positions.data<std::int32_t>();
  const float* frequencies = inv_freq.data<float>();
  float *cosine = table.cosine.data<float>(), *sine = table.sine.data<float>();
  parallel_for(context, tokens, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t f = 0; f < pairs; ++f) {
        const double angle = static_cast<double>(places[n]) * static_cast<double>(frequencies[f]);
        cosine[n * pairs + f] = static_cast<float>(std::cos(angle)) * attention_factor;
        sine[n * pairs + f] = static_cast<float>(std::sin(angle)) * attention_factor;
      }
    }
  });
}

void rotate(Context& context, const RotaryTable& table, float direction, Tensor& x) {
  const std::int64_t tokens = x.size(0), heads = x.size(1), size = x.size(2), pairs = table.cosine.size(1);
  const float *cosine = table.cosine.data<float>(), *sine = table.sine.data<float>();
  float* values = x.data<float>();
  parallel_for(context, tokens, 32, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t h = 0; h < heads; ++h) {
        float* head = values + (n * heads + h) * size;
        rotate_head(cosine + n * pairs, sine + n * pairs, direction, pairs, head, head + pairs);
      }
    }
  });
}

}  // namespace kernels::cpu
