#include "kernels/ops/swiglu.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"

namespace kernels {

void swiglu_forward(Context& context, const Tensor& gate, const Tensor& up, Tensor& h, Activation activation) {
  check_on_cpu("swiglu_forward", context);
  check_count("swiglu_forward", "gate", gate, gate.count());
  check_count("swiglu_forward", "up", up, gate.count());
  check_count("swiglu_forward", "h", h, gate.count());
  cpu::swiglu_forward(context, gate, up, h, activation);
}

void swiglu_backward(Context& context, const Tensor& dh, const Tensor& gate, const Tensor& up, Tensor& dgate,
                     Tensor& dup, Activation activation) {
  check_on_cpu("swiglu_backward", context);
  check_count("swiglu_backward", "gate", gate, gate.count());
  check_count("swiglu_backward", "dh", dh, gate.count());
  check_count("swiglu_backward", "up", up, gate.count());
  check_count("swiglu_backward", "dgate", dgate, gate.count());
  check_count("swiglu_backward", "dup", dup, gate.count());
  cpu::swiglu_backward(context, dh, gate, up, dgate, dup, activation);
}

}  // namespace kernels
