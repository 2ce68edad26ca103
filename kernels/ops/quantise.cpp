#include "kernels/ops/quantise.h"

#include <cmath>

#include "kernels/core/error.h"
#include "kernels/cpu/quantise.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

void check_finite(const Tensor& wide) {
  const std::span<const float> values = wide.values<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) throw_invalid("quantise", "element " + std::to_string(i) + " is not finite");
  }
}

}  // namespace

std::int64_t QuantisedWeight::count() const {
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) elements *= size;
  return elements;
}

std::size_t QuantisedWeight::size_bytes() const {
  return codes.size_bytes() + scales.size_bytes() + scale_codes.size_bytes() + nested_scales.size_bytes();
}

QuantisedWeight QuantisedWeight::to(const Context& context) const {
  return {
      type,         shape, codes.to(context), scales.to(context), scale_codes.to(context), nested_scales.to(context),
      nested_offset};
}

QuantisedWeight quantise(Context& context, const Tensor& weight, QuantisedType type) {
  check_on_cpu("quantise", context);
  check_floating("quantise", "weight", weight);
  const Tensor wide = weight.type() == DataType::kFloat32 ? weight.view() : weight.cast_to(DataType::kFloat32);
  check_finite(wide);
  QuantisedWeight result;
  result.type = type;
  result.shape = weight.shape();
  if (type == QuantisedType::kInt8) {
    check_rank("quantise", "weight", weight, 2);
    cpu::quantise_int8(context, wide, result);
  } else {
    cpu::quantise_nf4(context, wide, result);
    if (type == QuantisedType::kNf4Nested) cpu::nest_scales(result);
  }
  return result;
}

void dequantise(Context& context, const QuantisedWeight& weight, Tensor& out) {
  check_devices("dequantise", context,
                {{"weight.codes", &weight.codes},
                 {"weight.scales", &weight.scales},
                 {"weight.scale_codes", &weight.scale_codes},
                 {"weight.nested_scales", &weight.nested_scales},
                 {"out", &out}});
  check_floating("dequantise", "out", out);
  if (out.shape() != weight.shape) {
    throw_invalid("dequantise",
                  "out is " + shape_to_string(out.shape()) + ", the weight " + shape_to_string(weight.shape));
  }
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::dequantise(context, weight, out);
  }
  if (out.type() == DataType::kFloat32) {
    return cpu::dequantise(context, weight, 0, weight.count(), out.data<float>());
  }
  Tensor wide(out.shape());
  cpu::dequantise(context, weight, 0, weight.count(), wide.data<float>());
  out.copy_from(wide.cast_to(out.type()));
}

std::span<const float, 16> nf4_book() { return cpu::kNf4Book; }
std::span<const float, 256> nested_book() { return cpu::nested_book(); }

}  // namespace kernels
