// The gated activation of a feed-forward layer. Any shape; all tensors have the same element count and type, float32
// or, on CUDA, bfloat16 or float16 too.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/activation.h"

namespace kernels {

/// h = act(gate) * up.  h may be gate or up.
void swiglu_forward(Context& context, const Tensor& gate, const Tensor& up, Tensor& h,
                    Activation activation = Activation::kSilu);

/// dgate = dh * up * act'(gate);  dup = dh * act(gate).  dgate may be gate and dup may be up (or dh).
void swiglu_backward(Context& context, const Tensor& dh, const Tensor& gate, const Tensor& up, Tensor& dgate,
                     Tensor& dup, Activation activation = Activation::kSilu);

}  // namespace kernels
