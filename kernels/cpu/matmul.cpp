// Products go to oneDNN, except the few-row products of decoding, which are bound by reading the weight once.
#include <dnnl.h>

#include <algorithm>
#include <bit>

#include "kernels/core/error.h"
#include "kernels/core/parallel.h"
#include "kernels/cpu/openmp_threads.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/quantise.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

// Below this many rows a product reads the weight row by row instead of calling the matrix library.
constexpr std::int64_t kFewRows = 4;
// Elements of a 16-bit or quantised weight that are widened at a time.
constexpr std::int64_t kWidenedBlock = std::int64_t{1} << 20;

// to_float(Float16) without branches: the fraction and exponent moved into place are the value times 2^-112, subnormal
// ones included.
ANNEAL_INLINE float widened(Float16 value) {
  const std::uint32_t magnitude = static_cast<std::uint32_t>(value.bits & 0x7fffu) << 13;
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t usual = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  const std::uint32_t special = magnitude | 0x7f800000u;
  return std::bit_cast<float>((magnitude >= 0x0f800000u ? special : usual) | sign);
}
ANNEAL_INLINE float widened(BFloat16 value) { return to_float(value); }

ANNEAL_SIMD void widen_row(const BFloat16* in, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = widened(in[i]);
}

ANNEAL_SIMD void widen_row(const Float16* in, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = widened(in[i]);
}

ANNEAL_SIMD float dot(const float* x, const float* w, std::int64_t count) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += x[i] * w[i];
  return total;
}

ANNEAL_SIMD float dot(const float* x, const BFloat16* w, std::int64_t count) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += x[i] * widened(w[i]);
  return total;
}

ANNEAL_SIMD float dot(const float* x, const Float16* w, std::int64_t count) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += x[i] * widened(w[i]);
  return total;
}

float dot(const float* x, FloatSource weight, std::int64_t begin, std::int64_t count) {
  if (weight.wide != nullptr) return dot(x, weight.wide + begin, count);
  return weight.half != nullptr ? dot(x, weight.half + begin, count) : dot(x, weight.narrow + begin, count);
}

void linear_few_rows(Context& context, const Tensor& x, const Tensor& weight, Tensor& y, float beta) {
  const std::int64_t rows = x.size(0), in = x.size(1), out = weight.size(0);
  const FloatSource source = float_source(weight);
  const float* inputs = x.data<float>();
  float* outputs = y.data<float>();
  const std::int64_t grain = std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, rows * in));
  parallel_for(context, out, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      for (std::int64_t n = 0; n < rows; ++n) {
        const float product = dot(inputs + n * in, source, o * in, in);
        float& place = outputs[n * out + o];
        place = beta == 0.0f ? product : product + beta * place;
      }
    }
  });
}

// Calls use(begin, end, values) for blocks of the weight's rows in float32.
template <typename Use>
void for_wide_blocks(Context& context, const PackedWeight& weight, const Use& use) {
  const std::int64_t rows = weight.out_features(), columns = weight.in_features();
  const FloatSource source = weight.is_quantised() ? FloatSource{} : float_source(weight.weight());
  if (source.wide != nullptr || rows == 0) return use(std::int64_t{0}, rows, source.wide);
  const std::int64_t block =
      std::min(rows, std::max<std::int64_t>(64, kWidenedBlock / std::max<std::int64_t>(1, columns)));
  ScratchFrame frame(context);
  float* wide = frame.floats(block * columns);
  for (std::int64_t begin = 0; begin < rows; begin += block) {
    const std::int64_t end = std::min(rows, begin + block);
    if (weight.is_quantised()) {
      dequantise(context, weight.quantised(), begin * columns, (end - begin) * columns, wide);
    } else {
      parallel_for(context, (end - begin) * columns, 65536, [&](std::int64_t from, std::int64_t to) {
        widen(source, begin * columns + from, to - from, wide + from);
      });
    }
    use(begin, end, static_cast<const float*>(wide));
  }
}

}  // namespace

FloatSource float_source(const Tensor& tensor) {
  if (tensor.type() == DataType::kBFloat16) return {.narrow = tensor.data<BFloat16>()};
  if (tensor.type() == DataType::kFloat16) return {.half = tensor.data<Float16>()};
  return {.wide = tensor.data<float>()};
}

void widen(FloatSource source, std::int64_t begin, std::int64_t count, float* out) {
  if (source.wide != nullptr) {
    std::copy_n(source.wide + begin, count, out);
  } else if (source.half != nullptr) {
    widen_row(source.half + begin, count, out);
  } else {
    widen_row(source.narrow + begin, count, out);
  }
}

const float* as_float(Context& context, ScratchFrame& frame, const Tensor& tensor) {
  const FloatSource source = float_source(tensor);
  if (source.wide != nullptr || tensor.count() == 0) return source.wide;
  float* wide = frame.floats(tensor.count());
  parallel_for(context, tensor.count(), 65536,
               [&](std::int64_t begin, std::int64_t end) { widen(source, begin, end - begin, wide + begin); });
  return wide;
}

void gemm(Context& context, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == 0.0f ? 0.0f : beta * c[i * ldc + j];
    }
    return;
  }
  const OpenMpThreads threads(context.threads());
  const dnnl_status_t status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  if (status == dnnl_success) return;
  throw DeviceError("gemm: the matrix library refused m=" + std::to_string(m) + " n=" + std::to_string(n) +
                    " k=" + std::to_string(k) + " with status " + std::to_string(status));
}

void linear(Context& context, const Tensor& x, const PackedWeight& weight, Tensor& y, float beta) {
  const std::int64_t rows = x.size(0), in = x.size(1), out = weight.out_features();
  if (rows <= kFewRows && !weight.is_quantised()) return linear_few_rows(context, x, weight.weight(), y, beta);
  for_wide_blocks(context, weight, [&](std::int64_t begin, std::int64_t end, const float* wide) {
    cpu::gemm(context, false, true, rows, end - begin, in, 1.0f, x.data<float>(), in, wide, in, beta,
              y.data<float>() + begin, out);
  });
}

void linear_backward_input(Context& context, const Tensor& dy, const PackedWeight& weight, Tensor& dx, float beta) {
  const std::int64_t rows = dy.size(0), in = weight.in_features(), out = weight.out_features();
  for_wide_blocks(context, weight, [&](std::int64_t begin, std::int64_t end, const float* wide) {
    cpu::gemm(context, false, false, rows, in, end - begin, 1.0f, dy.data<float>() + begin, out, wide, in,
              begin == 0 ? beta : 1.0f, dx.data<float>(), in);
  });
}

}  // namespace kernels::cpu
