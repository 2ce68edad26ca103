// Restoring quantised weights. Eight elements a thread, which lie in one block of nf4; every step is rounded by itself,
// so that the values are the CPU's to the bit.
#include <algorithm>

#include "kernels/core/context.h"
#include "kernels/cpu/quantise.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256, kElements = 8;
constexpr std::int64_t kBlock = 64, kNestedBlock = 256;

struct Book {
  float values[16];
};
struct NestedBook {
  float values[256];
};

struct Nf4Codes {
  GlobalView<const std::uint8_t> codes;
  GlobalView<const float> scales;              // absent when nested
  GlobalView<const std::uint8_t> scale_codes;  // nested
  GlobalView<const float> nested_scales;       // nested
  float nested_offset;
  std::int64_t count;

  __device__ float scale(std::int64_t block, const NestedBook& book) const {
    if (scales.has_value()) return scales.load(block);
    const float value = book.values[scale_codes.load(block)];
    return __fadd_rn(__fmul_rn(value, nested_scales.load(block / kNestedBlock)), nested_offset);
  }
};

// kAligned: `out` takes eight elements at once.
template <bool kAligned, typename T>
__device__ void store_restored(const GlobalView<T>& out, std::int64_t i, std::int64_t count,
                               const float (&values)[kElements]) {
  if (kAligned && i + kElements <= count) return store_floats(out, i, values);
  for (int k = 0; k < kElements && i + k < count; ++k) out.store(i + k, narrow<T>(values[k]));
}

template <bool kAligned, typename T>
__global__ void __launch_bounds__(kThreads)
    restore_nf4_kernel(Nf4Codes weight, Book book, NestedBook nested, GlobalView<T> out) {
  SharedMemory shared;
  const SharedArray<float> values_of = shared.array<float>(16);  // any lane may ask for any value
  if (threadIdx.x < 16) values_of[threadIdx.x] = book.values[threadIdx.x];
  __syncthreads();
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kElements;
  if (i >= weight.count) return;
  const float scale = weight.scale(i / kBlock, nested);
  std::uint8_t pairs[kElements / 2] = {};
  if (i + kElements <= weight.count) {
    const auto four = weight.codes.template load<kElements / 2>(i / 2);
#pragma unroll
    for (int k = 0; k < kElements / 2; ++k) pairs[k] = four[k];
  } else {
    for (int k = 0; i + 2 * k < weight.count; ++k) pairs[k] = weight.codes.load(i / 2 + k);
  }
  float values[kElements];
#pragma unroll
  for (int k = 0; k < kElements; ++k) {
    const int code = k % 2 == 0 ? pairs[k / 2] >> 4 : pairs[k / 2] & 15;
    values[k] = __fmul_rn(values_of.load(code), scale);
  }
  store_restored<kAligned>(out, i, weight.count, values);
}

template <bool kAligned, typename T>
__global__ void __launch_bounds__(kThreads)
    restore_int8_kernel(GlobalView<const std::int8_t> codes, GlobalView<const float> scales, GlobalView<T> out,
                        std::int64_t count, std::int64_t columns) {
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kElements;
  if (i >= count) return;
  float values[kElements] = {};
  if (columns % kElements == 0) {
    const auto eight = codes.template load<kElements>(i);
    const float scale = scales.load(i / columns);
#pragma unroll
    for (int k = 0; k < kElements; ++k) values[k] = __fmul_rn(static_cast<float>(eight[k]), scale);
  } else {
    for (int k = 0; k < kElements && i + k < count; ++k)
      values[k] = __fmul_rn(static_cast<float>(codes.load(i + k)), scales.load((i + k) / columns));
  }
  store_restored<kAligned>(out, i, count, values);
}

template <bool kAligned, typename T>
void restore(Session& session, const QuantisedWeight& weight, Tensor& out) {
  const std::int64_t count = weight.count();
  const dim3 grid(static_cast<unsigned>(divided_up(count, std::int64_t{kThreads} * kElements)));
  if (weight.type == QuantisedType::kInt8) {
    return launch(session, "dequantise (int8)", restore_int8_kernel<kAligned, T>, {grid, dim3(kThreads)},
                  view_of<std::int8_t>(weight.codes), view_of<float>(weight.scales), view_of<T>(out), count,
                  weight.shape[1]);
  }
  Nf4Codes codes{view_of<std::uint8_t>(weight.codes), {}, {}, {}, weight.nested_offset, count};
  NestedBook nested{};
  if (weight.type == QuantisedType::kNf4Nested) {
    codes.scale_codes = view_of<std::uint8_t>(weight.scale_codes);
    codes.nested_scales = view_of<float>(weight.nested_scales);
    std::copy(cpu::nested_book().begin(), cpu::nested_book().end(), nested.values);
  } else {
    codes.scales = view_of<float>(weight.scales);
  }
  Book book{};
  std::copy(cpu::kNf4Book.begin(), cpu::kNf4Book.end(), book.values);
  launch(session, "dequantise (nf4)", restore_nf4_kernel<kAligned, T>,
         {grid, dim3(kThreads), SharedPlan().array<float>(16).bytes()}, codes, book, nested, view_of<T>(out));
}

}  // namespace

void dequantise(Context& context, const QuantisedWeight& weight, Tensor& out) {
  with_float_type(out.type(), [&](auto element) {
    using T = decltype(element);
    if (reinterpret_cast<std::uintptr_t>(out.raw_data()) % 16 == 0) {
      restore<true, T>(context.cuda_session(), weight, out);
    } else {
      restore<false, T>(context.cuda_session(), weight, out);
    }
  });
}

}  // namespace kernels::cuda
