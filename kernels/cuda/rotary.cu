#include "kernels/core/context.h"
#include "kernels/cuda/each.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

// Angles in double, as a position of a hundred thousand times a frequency needs.
struct MakeTable {
  GlobalView<const std::int32_t> positions;
  GlobalView<const float> inv_freq;
  GlobalView<float> cosine, sine;
  std::int64_t pairs;
  float attention_factor;
  __device__ void operator()(std::int64_t i) const {
    const double angle = static_cast<double>(positions.load(i / pairs)) * static_cast<double>(inv_freq.load(i % pairs));
    cosine[i] = static_cast<float>(cos(angle)) * attention_factor;
    sine[i] = static_cast<float>(sin(angle)) * attention_factor;
  }
};

// Index i counts the pairs of all tokens and heads: i = (n heads + h) pairs + f.
template <int N, typename T>
struct Rotate {
  GlobalView<const float> cosine, sine;
  GlobalView<T> x;
  std::int64_t heads, head_size, pairs;
  float direction;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t row = i / pairs, f = i % pairs, angle = row / heads * pairs + f;
    const std::int64_t low = row * head_size + f, high = low + pairs;
    float cosines[N], sines[N], first[N], second[N];
    load_floats(cosine, angle, cosines);
    load_floats(sine, angle, sines);
    load_floats(x, low, first);
    load_floats(x, high, second);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float a = first[k], b = second[k], s = direction * sines[k];
      first[k] = a * cosines[k] - b * s;
      second[k] = b * cosines[k] + a * s;
    }
    store_floats(x, low, first);
    store_floats(x, high, second);
  }
};

}  // namespace

void make_rotary_table(Context& context, const Tensor& positions, const Tensor& inv_freq, float attention_factor,
                       RotaryTable& table) {
  launch_each<1>(context.cuda_session(), "make_rotary_table", table.cosine.count(),
                 MakeTable{view_of<std::int32_t>(positions), view_of<float>(inv_freq), view_of<float>(table.cosine),
                           view_of<float>(table.sine), inv_freq.count(), attention_factor});
}

void rotate(Context& context, const RotaryTable& table, float direction, Tensor& x) {
  const std::int64_t heads = x.size(1), head_size = x.size(2), pairs = table.cosine.size(1);
  const std::int64_t count = x.size(0) * heads * pairs;
  if (count == 0) return;
  with_float_type(x.type(), [&](auto element) {
    using T = decltype(element);
    constexpr int kWidest = 16 / static_cast<int>(sizeof(T));
    const void* cosine = table.cosine.raw_data();
    const bool wide = head_size % kWidest == 0 && pairs % kWidest == 0 &&
                      vector_width<T>(kWidest, {x.raw_data(), cosine, table.sine.raw_data()}) == kWidest;
    const auto run = [&](auto width) {
      launch_each<decltype(width)::value>(
          context.cuda_session(), direction > 0.0f ? "rotary_forward" : "rotary_backward", count,
          Rotate<decltype(width)::value, T>{view_of<float>(table.cosine), view_of<float>(table.sine), view_of<T>(x),
                                            heads, head_size, pairs, direction});
    };
    if (wide) return run(std::integral_constant<int, kWidest>{});
    run(std::integral_constant<int, 1>{});
  });
}

}  // namespace kernels::cuda
