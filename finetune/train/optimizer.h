// AdamW, or gradient descent with momentum, over a list of trained weights: gradients are zeroed, measured, clipped and
// applied together. The moments travel with checkpoints under "<weight>.m" and, for AdamW, "<weight>.v". Belongs to one
// thread; borrows the weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "finetune/model/weights.h"
#include "kernels/core/context.h"

namespace finetune {

struct TrainedWeight {
  Weight* weight = nullptr;
  bool decay = true;
  float learning_rate_scale = 1.0f;
};

enum class OptimizerKind { kAdamW, kSgd };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kAdamW;
  float weight_decay = 0.01f;
  double clip_norm = 1.0;
  float beta1 = 0.9f;  // SGD: the momentum
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
};

class Optimizer {
 public:
  Optimizer(std::vector<TrainedWeight> weights, OptimizerOptions options);
  void zero_gradients();
  /// One step; returns the gradient norm before clipping. A non-finite norm changes nothing and is counted as skipped.
  double step(kernels::Context& context, double learning_rate);

  std::int64_t steps() const { return steps_; }
  std::int64_t skipped() const { return skipped_; }
  /// The last steps that were skipped one after the other, of this process.
  std::int64_t skipped_in_a_row() const { return skipped_in_a_row_; }
  /// The first weight or gradient that holds something else than finite numbers: "the weight X" or "the gradient of X";
  /// empty where none does.
  std::string first_not_finite() const;
  std::int64_t parameter_count() const;
  const std::vector<TrainedWeight>& weights() const { return weights_; }

  /// Values and moments by name, for a checkpoint.
  std::map<std::string, const kernels::Tensor*> tensors() const;
  /// Copies them back. Throws kCorrupt on a missing or wrongly shaped tensor.
  void restore(const std::map<std::string, kernels::Tensor>& tensors, std::int64_t steps, std::int64_t skipped);

 private:
  void adamw(kernels::Context& context, float learning_rate, float gradient_scale);
  void sgd(kernels::Context& context, float learning_rate, float gradient_scale);

  std::vector<TrainedWeight> weights_;
  OptimizerOptions options_;
  std::vector<kernels::Tensor> first_, second_;  // SGD has no second
  std::int64_t steps_ = 0;
  std::int64_t skipped_ = 0, skipped_in_a_row_ = 0;
};

}  // namespace finetune
