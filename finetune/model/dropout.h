// Dropout: elements left out at random, the rest multiplied by 1 / (1 - probability). Element i is kept or dropped by
// (seed, i) alone, as in kernels/ops/lora.h, so that backward makes the same mask again. Any thread.
#pragma once

#include <cstdint>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace finetune {

struct Dropout {
  float probability = 0.0f;  // in [0, 1)
  std::uint64_t seed = 0;
};

/// y = drop(x).  x, y: equal counts, float32.
void drop(kernels::Context& context, const kernels::Tensor& x, const Dropout& dropout, kernels::Tensor& y);
/// dx += the gradient of drop: the same mask on dy.
void drop_backward(kernels::Context& context, const kernels::Tensor& dy, const Dropout& dropout, kernels::Tensor& dx);

}  // namespace finetune
