// Losses of small heads over values rather than classes. Loss sums are double and unscaled; gradients are multiplied by
// `scale`. A NaN target is ignored, with no gradient; `weight` and `count` of a result run over values, not rows.
// Values and their gradients may be bfloat16 or float16 on CUDA; targets and weights are float32.
// Letters: N rows, K values a row.
#pragma once

#include <span>

#include "kernels/ops/cross_entropy.h"

namespace kernels {

/// Binary cross-entropy of K independent answers: loss = weight * (log(1 + e^z) - target * z).
/// logits, targets in [0, 1], dlogits: [N, K]; row_weights: [N] or null for 1; dlogits null for the loss alone; may be
/// logits.
LossSum sigmoid_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets, const Tensor* row_weights,
                              float scale, Tensor* dlogits);

/// Huber (1964): d = y - target; weight * d^2 / 2 where |d| <= delta, else weight * delta * (|d| - delta / 2).
/// y, targets, dy: [N, K]; row_weights: [N] or null; delta > 0; dy null for the loss alone; may be y.
LossSum huber_loss(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float delta,
                   float scale, Tensor* dy);

/// Pinball loss (Koenker and Bassett 1978) of K quantiles of one value: with d = target - y[k],
/// weight * max(q[k] d, (q[k] - 1) d).  y, dy: [N, K]; targets: [N]; quantiles: K of them in (0, 1); dy may be y.
LossSum pinball_loss(Context& context, const Tensor& y, const Tensor& targets, std::span<const double> quantiles,
                     const Tensor* row_weights, float scale, Tensor* dy);

}  // namespace kernels
