#include "kernels/core/parallel.h"
#include "kernels/core/random.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

// Element i is kept when the upper 32 bits of its random number reach this.
std::uint64_t drop_threshold(float dropout) {
  return static_cast<std::uint64_t>(static_cast<double>(dropout) * 0x1p32);
}

// y[i] (= or +=) keep(i) ? factor * x[i] : 0
ANNEAL_SIMD void masked(const float* x, std::uint64_t seed, std::uint64_t first, std::uint64_t threshold, float factor,
                        std::int64_t count, bool accumulate, float* y) {
  for (std::int64_t i = 0; i < count; ++i) {
    const bool keep = (random_bits(seed, first + static_cast<std::uint64_t>(i)) >> 32) >= threshold;
    const float value = keep ? factor * x[i] : 0.0f;
    y[i] = accumulate ? y[i] + value : value;
  }
}

void apply_mask(Context& context, const LoraOptions& options, const float* x, std::int64_t count, float factor,
                bool accumulate, float* y) {
  const std::uint64_t threshold = drop_threshold(options.dropout);
  const float kept = factor / (1.0f - options.dropout);
  parallel_for(context, count, 8192, [&](std::int64_t begin, std::int64_t end) {
    masked(x + begin, options.seed, static_cast<std::uint64_t>(begin), threshold, kept, end - begin, accumulate,
           y + begin);
  });
}

// x itself without dropout, else its masked copy in `frame`.
const float* dropped(Context& context, ScratchFrame& frame, const LoraOptions& options, const Tensor& x) {
  if (options.dropout == 0.0f) return x.data<float>();
  float* copy = frame.floats(x.count());
  apply_mask(context, options, x.data<float>(), x.count(), 1.0f, false, copy);
  return copy;
}

}  // namespace

void lora_forward(Context& context, const Tensor& x, const Tensor& a, const Tensor& b, const LoraOptions& options,
                  Tensor& p, Tensor& y) {
  const std::int64_t rows = x.size(0), in = x.size(1), rank = a.size(0), out = b.size(0);
  ScratchFrame frame(context);
  const float* inputs = dropped(context, frame, options, x);
  cpu::gemm(context, false, true, rows, rank, in, 1.0f, inputs, in, a.data<float>(), in, 0.0f, p.data<float>(), rank);
  cpu::gemm(context, false, true, rows, out, rank, options.scaling, p.data<float>(), rank, b.data<float>(), rank, 1.0f,
            y.data<float>(), out);
}

void lora_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& p, const Tensor& a,
                   const Tensor& b, const LoraOptions& options, Tensor& da, Tensor& db, Tensor* dx) {
  const std::int64_t rows = x.size(0), in = x.size(1), rank = a.size(0), out = b.size(0);
  const float scaling = options.scaling;
  const float *gradients = dy.data<float>(), *down = a.data<float>();
  ScratchFrame frame(context);
  float* q = frame.floats(rows * rank);
  cpu::gemm(context, false, false, rows, rank, out, 1.0f, gradients, out, b.data<float>(), rank, 0.0f, q, rank);
  cpu::gemm(context, true, false, out, rank, rows, scaling, gradients, out, p.data<float>(), rank, 1.0f,
            db.data<float>(), rank);
  const float* inputs = dropped(context, frame, options, x);
  cpu::gemm(context, true, false, rank, in, rows, scaling, q, rank, inputs, in, 1.0f, da.data<float>(), in);
  if (dx == nullptr) return;
  if (options.dropout == 0.0f) {
    cpu::gemm(context, false, false, rows, in, rank, scaling, q, rank, down, in, 1.0f, dx->data<float>(), in);
    return;
  }
  float* unmasked = frame.floats(rows * in);
  cpu::gemm(context, false, false, rows, in, rank, 1.0f, q, rank, down, in, 0.0f, unmasked, in);
  apply_mask(context, options, unmasked, rows * in, scaling, true, dx->data<float>());
}

}  // namespace kernels::cpu
