// Cross-entropy losses. Loss sums are double and unscaled; gradients are multiplied by `scale`, which carries
// 1 / (supervised tokens of the whole optimizer step). A target of -100 removes its row from loss, count and work.
// Letters: N rows, C channels, V vocabulary, K classes.
#pragma once

#include <cstdint>
#include <span>

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
  /// Rows whose logits exist at a time: what this loss takes of memory. 0 chooses.
  std::int64_t chunk_rows = 0;
};

/// Loss of a language-model head without ever holding all logits: rows are taken in chunks, rows without a target
/// never. hidden and dhidden may be bfloat16 or float16 on CUDA. hidden: [N, C]; head: [V, C]; targets: [N] int32; row_weights: [N] or null for 1. dhidden: [N, C], = (zero in
/// ignored rows), or null for the loss alone; dweight: [V, C] float32, +=, or null when frozen.
LossSum linear_cross_entropy(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const Tensor* row_weights, const LinearCrossEntropyOptions& options, Tensor* dhidden,
                             Tensor* dweight);

/// What a teacher gives the tokens that it finds most probable, row by row; borrowed. Row n has the entries
/// borders[n] .. borders[n + 1]: a token, none twice in a row, and the logarithm of its probability, at most 0.
struct TeacherProbabilities {
  std::span<const std::int64_t> borders;  // [N + 1], from 0; a row may have none
  std::span<const std::int32_t> tokens;
  std::span<const float> log_probabilities;
};

struct DistillationOptions {
  float ratio = 0.5f;        // a: the teacher's share of the loss, 0 to 1
  float temperature = 1.0f;  // T, above 0
};

/// linear_cross_entropy beside the distance from a teacher. Of a row with entries the loss is
///   (1 - a) (-log q(target)) + a T^2 KL(P || Q) = ... + a T^2 sum over i of P_i (log P_i - log Q_i)
/// where i runs over the row's tokens and over one outcome more, "any other token", with the rest of the mass; P are
/// the teacher's and Q the model's probabilities of these outcomes, each to the power 1 / T and normalised (soft
/// targets and T^2: Hinton et al. 2015; forward KL over what a served teacher tells). At T = 1 this is a lower bound of
/// the divergence over the whole vocabulary, and 0 where the two agree. Rows without entries, and the loss where a = 0,
/// are linear_cross_entropy's. A rest below 1e-30 counts as 1e-30. Arguments as there.
LossSum linear_distillation(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                            const Tensor* row_weights, const TeacherProbabilities& teacher,
                            const DistillationOptions& distillation, const LinearCrossEntropyOptions& options,
                            Tensor* dhidden, Tensor* dweight);

/// log p(targets[n] | hidden[n]) per row, 0 where the target is ignored.  log_probabilities: [N]. `scale` is not used.
void token_log_probabilities(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const LinearCrossEntropyOptions& options, Tensor& log_probabilities);

/// Cross-entropy over small classes. A row's weight is row_weights[n] * class_weights[target]. logits and dlogits may
/// be bfloat16 or float16 on CUDA; weights are float32. logits: [N, K]; targets: [N] int32; class_weights: [K] or null;
/// row_weights: [N] or null; dlogits: [N, K], = scale * weight * (softmax - onehot), zero in ignored rows, null for the
/// loss alone; may be logits.
LossSum softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                              const Tensor* class_weights, const Tensor* row_weights, float scale, Tensor* dlogits);

/// Half the squared error, for regression: loss = sum of weight * (y - target)^2 / 2;  dy = scale * weight * (y -
/// target). y and dy may be bfloat16 or float16 on CUDA. y, targets, dy: [N, K]; row_weights: [N] or null; dy null for the loss alone. A NaN target is ignored;
/// `weight` and `count` of the result run over values, not rows.
LossSum squared_error(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float scale,
                      Tensor* dy);

}  // namespace kernels
