// Cross-entropy losses. Loss sums are double and unscaled; gradients are multiplied by `scale`, which carries
// 1 / (supervised tokens of the whole optimizer step). A target of -100 removes its row from loss, count and work.
// Letters: N rows, C channels, V vocabulary, K classes.
#pragma once

#include <cstdint>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/matmul.h"

namespace kernels {

inline constexpr std::int32_t kIgnoredTarget = -100;

struct LossSum {
  double loss = 0.0;       // sum of weight * -log p(target)
  double weight = 0.0;     // sum of the weights of the rows that counted
  std::int64_t count = 0;  // rows that counted
};

struct LinearCrossEntropyOptions {
  /// Multiplies dhidden and dweight.
  float scale = 1.0f;
  /// logits = softcap(logit_scale * hidden W^T).
  float logit_scale = 1.0f;
  /// softcap(z) = cap * tanh(z / cap); 0 means none.
  float logit_softcap = 0.0f;
};

/// Loss of a language-model head without ever holding all logits: rows are taken in chunks, rows without a target
/// never. hidden: [N, C]; head: [V, C]; targets: [N] int32; row_weights: [N] or null for 1. dhidden: [N, C], = (zero in
/// ignored rows), or null for the loss alone; dweight: [V, C] float32, +=, or null when frozen.
LossSum linear_cross_entropy(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const Tensor* row_weights, const LinearCrossEntropyOptions& options, Tensor* dhidden,
                             Tensor* dweight);

/// log p(targets[n] | hidden[n]) per row, 0 where the target is ignored.  log_probabilities: [N]. `scale` is not used.
void token_log_probabilities(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const LinearCrossEntropyOptions& options, Tensor& log_probabilities);

/// Cross-entropy over small classes. A row's weight is row_weights[n] * class_weights[target].
/// logits: [N, K]; targets: [N] int32; class_weights: [K] or null; row_weights: [N] or null;
/// dlogits: [N, K], = scale * weight * (softmax - onehot), zero in ignored rows, null for the loss alone; may be
/// logits.
LossSum softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                              const Tensor* class_weights, const Tensor* row_weights, float scale, Tensor* dlogits);

/// Half the squared error, for regression: loss = sum of weight * (y - target)^2 / 2;  dy = scale * weight * (y -
/// target). y, targets, dy: [N, K]; row_weights: [N] or null; dy null for the loss alone. A NaN target is ignored;
/// `weight` and `count` of the result run over values, not rows.
LossSum squared_error(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float scale,
                      Tensor* dy);

}  // namespace kernels
