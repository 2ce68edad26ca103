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

/// adamw_step with gradients multiplied by clip_factor(norm, maximum_norm), all on the device, so that the host does
/// not wait. norm: [1] float32, from global_norm(); where it is not finite nothing changes but skipped, += 1. skipped:
/// [1] int32.
void clipped_adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options,
                        std::int64_t step, const Tensor& norm, float maximum_norm, Tensor& skipped);

/// Square root of the sum of squares over all tensors, accumulated in double; not finite if any element is not.
double global_norm(Context& context, std::span<const Tensor* const> tensors);
/// The same left on the device.  norm: [1] float32, =.
void global_norm(Context& context, std::span<const Tensor* const> tensors, Tensor& norm);

/// The factor that clips: min(1, maximum / (norm + 1e-6)); 1 when maximum is 0.
float clip_factor(double norm, double maximum);

}  // namespace kernels
