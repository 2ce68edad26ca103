// Root-mean-square normalisation. Letters: N rows, C channels.
// The group form (QK-norm) is the same call: any x whose element count is a multiple of C is read as rows of C, so
// x [N, H, D] with weight [D] normalises each head; rstd then has N * H elements.
// Activations (x, y, delta, residual and their gradients) are float32, on CUDA also bfloat16 or float16, all the same;
// rstd and dweight are float32.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

struct RmsNormOptions {
  float epsilon = 1e-5f;
  /// Multiply by (1 + weight) instead of weight.
  bool weight_plus_one = false;
};

/// y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + epsilon).
/// x, y: [.., C], y may be x; weight: [C] float32, bfloat16 or float16; rstd: one per row, kept for backward.
void rms_norm_forward(Context& context, const Tensor& x, const Tensor& weight, const RmsNormOptions& options, Tensor& y,
                      Tensor& rstd);

/// residual += delta, then y = rms_norm(residual), in one pass. Its backward is that of rms_norm with x = residual,
/// added to the residual's own gradient; delta has the same gradient as the residual.
void add_rms_norm_forward(Context& context, const Tensor& delta, const Tensor& weight, const RmsNormOptions& options,
                          Tensor& residual, Tensor& y, Tensor& rstd);

/// dx (= or +=, by `accumulate_dx`) rstd * (w dy) - x * rstd^3 * mean(w dy x);  dweight += sum over rows of dy * x *
/// rstd. dy, x, dx: [.., C]; dx may be dy unless it accumulates. dweight: [C], null when the weight is frozen.
void rms_norm_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const RmsNormOptions& options, Tensor& dx, Tensor* dweight, bool accumulate_dx = false);

}  // namespace kernels
