#include "kernels/ops/swiglu.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {

void swiglu_forward(Context& context, const Tensor& gate, const Tensor& up, Tensor& h, Activation activation) {
  check_devices("swiglu_forward", context, {{"gate", &gate}, {"up", &up}, {"h", &h}});
  const DataType type = activation_type("swiglu_forward", context, "gate", gate);
  check_count("swiglu_forward", "up", up, gate.count(), type);
  check_count("swiglu_forward", "h", h, gate.count(), type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::swiglu_forward(context, gate, up, h, activation);
  }
  cpu::swiglu_forward(context, gate, up, h, activation);
}

void swiglu_backward(Context& context, const Tensor& dh, const Tensor& gate, const Tensor& up, Tensor& dgate,
                     Tensor& dup, Activation activation) {
  check_devices("swiglu_backward", context,
                {{"dh", &dh}, {"gate", &gate}, {"up", &up}, {"dgate", &dgate}, {"dup", &dup}});
  const DataType type = activation_type("swiglu_backward", context, "gate", gate);
  check_count("swiglu_backward", "dh", dh, gate.count(), type);
  check_count("swiglu_backward", "up", up, gate.count(), type);
  check_count("swiglu_backward", "dgate", dgate, gate.count(), type);
  check_count("swiglu_backward", "dup", dup, gate.count(), type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::swiglu_backward(context, dh, gate, up, dgate, dup, activation);
  }
  cpu::swiglu_backward(context, dh, gate, up, dgate, dup, activation);
}

}  // namespace kernels
