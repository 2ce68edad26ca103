#include "kernels/ops/sgd.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {

void sgd_step(Context& context, std::span<const SgdTensor> tensors, const SgdOptions& options, float gradient_scale) {
  for (const SgdTensor& tensor : tensors) {
    if (tensor.value == nullptr || tensor.gradient == nullptr || tensor.momentum == nullptr)
      throw_invalid("sgd_step", "a trained tensor lacks its value, gradient or momentum");
    check_devices("sgd_step", context,
                  {{"value", tensor.value}, {"gradient", tensor.gradient}, {"momentum", tensor.momentum}});
    const std::int64_t count = tensor.value->count();
    check_count("sgd_step", "value", *tensor.value, count);
    check_count("sgd_step", "gradient", *tensor.gradient, count);
    check_count("sgd_step", "momentum", *tensor.momentum, count);
  }
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::sgd_step(context, tensors, options, gradient_scale);
  }
  cpu::sgd_step(context, tensors, options, gradient_scale);
}

}  // namespace kernels
