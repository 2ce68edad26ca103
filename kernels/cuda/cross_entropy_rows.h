// cross_entropy_rows(): loss and gradient of rows of logits, the body of every cross-entropy here. A block a row.
#pragma once

#include "kernels/core/context.h"
#include "kernels/cuda/view.h"

namespace kernels::cuda {

struct CrossEntropyRows {
  std::int64_t rows = 0, classes = 0;
  GlobalView<const std::int32_t> targets;  // [N]; kIgnoredTarget leaves the row out
  GlobalView<const float> class_weights;   // [K], or absent for 1
  GlobalView<const float> row_weights;     // [N], or absent for 1
  float scale = 1.0f;                      // multiplies gradients
  float logit_scale = 1.0f;                // logits are multiplied by it first,
  float softcap = 0.0f;                    // then capped: cap tanh(z / cap); 0 for none
  GlobalView<float> losses;                // [N]: weight * -log p(target), 0 where ignored; or absent
  GlobalView<float> log_probabilities;     // [N]: log p(target), 0 where ignored; or absent
  GlobalView<float> weights;               // [N]: the row's weight, -infinity where ignored; or absent
};

/// gradient (by the logits as they came in) = scale * weight * (softmax - onehot), through cap and scale; 0 in ignored
/// rows; null: losses alone. logits, gradient: [N, K] of one floating-point type; gradient may be logits.
void cross_entropy_rows(Context& context, const char* operation, const Tensor& logits, const CrossEntropyRows& rows,
                        Tensor* gradient);

/// The sums of LossSum over rows, in the order of the rows, and waits for them.
struct LossSums {
  double loss, weight;
  std::int64_t count;
};
LossSums sum_losses(Context& context, const GlobalView<float>& losses, const GlobalView<float>& weights,
                    std::int64_t rows);

}  // namespace kernels::cuda
