// Gradient descent with momentum over many tensors at once; the norm for clipping is in adamw.h.
// All tensors float32; the momentum starts at zero.
#pragma once

#include <span>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

struct SgdOptions {
  float learning_rate = 1e-2f;
  float momentum = 0.9f;
  /// Added to the gradient, unlike AdamW's.
  float weight_decay = 0.0f;
};

/// One trained tensor; the three have the same element count.
struct SgdTensor {
  Tensor* value = nullptr;
  const Tensor* gradient = nullptr;
  Tensor* momentum = nullptr;
  /// Multiplies the learning rate for this tensor.
  float learning_rate_scale = 1.0f;
  /// Biases and norms are usually not decayed.
  bool decay = true;
};

/// m = momentum m + (g + weight_decay value);  value -= lr m.
/// `gradient_scale` multiplies every gradient first (clipping).
void sgd_step(Context& context, std::span<const SgdTensor> tensors, const SgdOptions& options,
              float gradient_scale = 1.0f);

}  // namespace kernels
