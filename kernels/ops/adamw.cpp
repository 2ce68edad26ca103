#include "kernels/ops/adamw.h"

#include <algorithm>
#include <cmath>

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

void check_trained(const char* operation, const Context& context, std::span<const AdamWTensor> tensors,
                   std::int64_t step) {
  if (step < 1) throw_invalid(operation, "step " + std::to_string(step) + " must be at least 1");
  for (const AdamWTensor& tensor : tensors) {
    if (tensor.value == nullptr || tensor.gradient == nullptr || tensor.first_moment == nullptr ||
        tensor.second_moment == nullptr) {
      throw_invalid(operation, "a trained tensor lacks its value, gradient or a moment");
    }
    check_devices(operation, context,
                  {{"value", tensor.value},
                   {"gradient", tensor.gradient},
                   {"first_moment", tensor.first_moment},
                   {"second_moment", tensor.second_moment}});
    const std::int64_t count = tensor.value->count();
    check_count(operation, "value", *tensor.value, count);
    check_count(operation, "gradient", *tensor.gradient, count);
    check_count(operation, "first_moment", *tensor.first_moment, count);
    check_count(operation, "second_moment", *tensor.second_moment, count);
  }
}

void check_summed(const Context& context, std::span<const Tensor* const> tensors) {
  for (const Tensor* tensor : tensors) {
    if (tensor == nullptr) throw_invalid("global_norm", "a tensor is null");
    check_devices("global_norm", context, {{"tensor", tensor}});
    check_count("global_norm", "tensor", *tensor, tensor->count());
  }
}

}  // namespace

void adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                float gradient_scale) {
  check_trained("adamw_step", context, tensors, step);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::adamw_step(context, tensors, options, step, gradient_scale);
  }
  cpu::adamw_step(context, tensors, options, step, gradient_scale);
}

void clipped_adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options,
                        std::int64_t step, const Tensor& norm, float maximum_norm, Tensor& skipped) {
  check_devices("clipped_adamw_step", context, {{"norm", &norm}, {"skipped", &skipped}});
  check_shape("clipped_adamw_step", "norm", norm, {1});
  check_shape("clipped_adamw_step", "skipped", skipped, {1}, DataType::kInt32);
  check_trained("clipped_adamw_step", context, tensors, step);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda())
      return cuda::clipped_adamw_step(context, tensors, options, step, norm, maximum_norm, skipped);
  }
  const auto length = static_cast<double>(norm.data<float>()[0]);
  if (!std::isfinite(length)) {
    ++skipped.data<std::int32_t>()[0];
    return;
  }
  cpu::adamw_step(context, tensors, options, step, clip_factor(length, static_cast<double>(maximum_norm)));
}

double global_norm(Context& context, std::span<const Tensor* const> tensors) {
  check_summed(context, tensors);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::global_norm(context, tensors);
  }
  return cpu::global_norm(context, tensors);
}

void global_norm(Context& context, std::span<const Tensor* const> tensors, Tensor& norm) {
  check_summed(context, tensors);
  check_devices("global_norm", context, {{"norm", &norm}});
  check_shape("global_norm", "norm", norm, {1});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::global_norm(context, tensors, norm);
  }
  norm.data<float>()[0] = static_cast<float>(cpu::global_norm(context, tensors));
}

float clip_factor(double norm, double maximum) {
  if (maximum == 0.0) return 1.0f;
  return static_cast<float>(std::min(1.0, maximum / (norm + 1e-6)));
}

}  // namespace kernels
