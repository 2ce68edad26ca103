#include "kernels/bench/peaks.h"

#include <dnnl.hpp>
#include <string_view>

#include "kernels/core/data_type.h"
#include "kernels/core/parallel.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"
#include "kernels/cpu/openmp_threads.h"
#include "kernels/cpu/simd.h"

namespace kernels {
namespace {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

struct ProductTypes {
  Type left, right, result;
};

ProductTypes types_of(ProductType type) {
  if (type == ProductType::kBFloat16) return {Type::bf16, Type::bf16, Type::f32};
  if (type == ProductType::kInt8) return {Type::u8, Type::s8, Type::s32};
  return {Type::f32, Type::f32, Type::f32};
}

// Ordinary values: zeros, subnormal numbers and NaN may take another time.
void fill(dnnl::memory& memory, Type type, std::int64_t count) {
  const auto number = [](std::int64_t index) { return random_bits(1, static_cast<std::uint64_t>(index)); };
  const auto share = [&](std::int64_t index) { return static_cast<float>(number(index) >> 40) * 0x1p-24f - 0.5f; };
  void* data = memory.get_data_handle();
  for (std::int64_t i = 0; i < count; ++i) {
    if (type == Type::f32)
      static_cast<float*>(data)[i] = share(i);
    else if (type == Type::bf16)
      static_cast<BFloat16*>(data)[i] = to_bfloat16(share(i));
    else
      static_cast<std::uint8_t*>(data)[i] = static_cast<std::uint8_t>(number(i) & 63u);
  }
}

// c = a b, ready to be computed again and again.
class LibraryProduct {
 public:
  LibraryProduct(const dnnl::engine& engine, dnnl::stream& stream, ProductTypes types, std::int64_t size, bool packed)
      : stream_(stream), shape_({size, size}, types.right, Tag::ab) {
    const dnnl::memory::desc left({size, size}, types.left, Tag::ab), result({size, size}, types.result, Tag::ab);
    const dnnl::memory::desc right = packed ? dnnl::memory::desc({size, size}, types.right, Tag::any) : shape_;
    const dnnl::matmul::primitive_desc description({left, right, result}, engine);
    is_plain_loop_ = std::string_view(description.impl_info_str()).starts_with("ref");
    if (is_plain_loop_) return;
    a_ = dnnl::memory(left, engine);
    b_ = dnnl::memory(shape_, engine);
    c_ = dnnl::memory(result, engine);
    fill(a_, types.left, size * size);
    fill(b_, types.right, size * size);
    if (description.weights_desc() != shape_) {
      dnnl::memory laid_out(description.weights_desc(), engine);
      dnnl::reorder(b_, laid_out).execute(stream_, b_, laid_out);
      stream_.wait();
      b_ = laid_out;
    }
    product_ = dnnl::matmul(description);
  }

  bool is_plain_loop() const { return is_plain_loop_; }
  void compute() {
    product_.execute(stream_, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}});
    stream_.wait();
  }

 private:
  dnnl::stream& stream_;
  dnnl::memory::desc shape_;
  dnnl::memory a_, b_, c_;
  dnnl::matmul product_;
  bool is_plain_loop_ = false;
};

typedef float Lanes __attribute__((vector_size(32), aligned(4), may_alias));

// Eight sums at a time: one alone would wait for its own additions instead of for memory.
ANNEAL_SIMD float sum_of(const float* values, std::int64_t count) {
  constexpr std::int64_t kLanes = 8, kSums = 8;
  Lanes sums[kSums] = {};
  std::int64_t i = 0;
  for (; i + kLanes * kSums <= count; i += kLanes * kSums) {
    for (std::int64_t s = 0; s < kSums; ++s) sums[s] += *reinterpret_cast<const Lanes*>(values + i + s * kLanes);
  }
  float total = 0.0f;
  for (const Lanes& lanes : sums) {
    for (std::int64_t l = 0; l < kLanes; ++l) total += lanes[l];
  }
  for (; i < count; ++i) total += values[i];
  return total;
}

}  // namespace

const char* name_of(ProductType type) {
  if (type == ProductType::kBFloat16) return "bfloat16";
  return type == ProductType::kInt8 ? "int8" : "float32";
}

std::optional<ProductRates> measure_products(Context& context, ProductType type, const RepeatOptions& options,
                                             std::int64_t size) {
  const cpu::OpenMpThreads threads(context.threads());
  const double operations = 2.0 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size);
  const auto rate = [&](bool packed) {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    LibraryProduct product(engine, stream, types_of(type), size, packed);
    if (product.is_plain_loop()) return 0.0;
    return operations / repeated_time(options, [&] { product.compute(); }).median * 1e-9;
  };
  ProductRates rates;
  try {
    rates = {rate(false), rate(true)};
  } catch (const dnnl::error&) {
    return std::nullopt;  // no product of this type at all
  }
  return rates.best() > 0 ? std::optional(rates) : std::nullopt;
}

double measure_read_bandwidth(Context& context, const RepeatOptions& options, std::int64_t bytes) {
  Tensor memory({bytes / static_cast<std::int64_t>(sizeof(float))});
  memory.fill_zero();
  const float* values = memory.data<float>();
  volatile float seen = 0.0f;  // so that the reading is not left out
  const RepeatedTime time = repeated_time(options, [&] {
    parallel_for(context, memory.count(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      if (sum_of(values + begin, end - begin) != 0.0f) seen = 1.0f;
    });
  });
  return static_cast<double>(memory.size_bytes()) / time.median;
}

}  // namespace kernels
