#include "kernels/ops/adamw.h"

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"

namespace kernels {

void adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                float gradient_scale) {
  check_on_cpu("adamw_step", context);
  if (step < 1) throw_invalid("adamw_step", "step " + std::to_string(step) + " must be at least 1");
  for (const AdamWTensor& tensor : tensors) {
    if (tensor.value == nullptr || tensor.gradient == nullptr || tensor.first_moment == nullptr ||
        tensor.second_moment == nullptr) {
      throw_invalid("adamw_step", "a trained tensor lacks its value, gradient or a moment");
    }
    const std::int64_t count = tensor.value->count();
    check_count("adamw_step", "value", *tensor.value, count);
    check_count("adamw_step", "gradient", *tensor.gradient, count);
    check_count("adamw_step", "first_moment", *tensor.first_moment, count);
    check_count("adamw_step", "second_moment", *tensor.second_moment, count);
  }
  cpu::adamw_step(context, tensors, options, step, gradient_scale);
}

double global_norm(Context& context, std::span<const Tensor* const> tensors) {
  check_on_cpu("global_norm", context);
  for (const Tensor* tensor : tensors) {
    if (tensor == nullptr) throw_invalid("global_norm", "a tensor is null");
    check_count("global_norm", "tensor", *tensor, tensor->count());
  }
  return cpu::global_norm(context, tensors);
}

float clip_factor(double norm, double maximum) {
  if (maximum == 0.0) return 1.0f;
  return static_cast<float>(std::min(1.0, maximum / (norm + 1e-6)));
}

}  // namespace kernels
