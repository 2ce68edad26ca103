// AdamW with decoupled weight decay over many tensors at once, and the gradient norm used for clipping.
// All tensors float32; moments start at zero.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

struct AdamWOptions {
  float learning_rate = 1e-4f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 0.0f;
};

/// One trained tensor; the four have the same element count.
struct AdamWTensor {
  Tensor* value = nullptr;
  const Tensor* gradient = nullptr;
  Tensor* first_moment = nullptr;
  Tensor* second_moment = nullptr;
  /// Multiplies the learning rate for this tensor.
  float learning_rate_scale = 1.0f;
  /// Biases and norms are usually not decayed.
  bool decay = true;
};

/// m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
/// value -= lr (m / (1 - b1^step) / (sqrt(v / (1 - b2^step)) + epsilon) + weight_decay value).
/// `step` counts from 1. `gradient_scale` multiplies every gradient first (clipping).
void adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                float gradient_scale = 1.0f);

/// Square root of the sum of squares over all tensors, accumulated in double; not finite if any element is not.
double global_norm(Context& context, std::span<const Tensor* const> tensors);

/// The factor that clips: min(1, maximum / (norm + 1e-6)); 1 when maximum is 0.
float clip_factor(double norm, double maximum);

}  // namespace kernels
