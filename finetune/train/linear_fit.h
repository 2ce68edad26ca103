// Fits a linear model of an example's fields and wording to the end, with L2 (for labels: logistic regression; Genkin,
// Lewis and Madigan 2007 for texts), by lbfgs.h. Few texts of many words are such a model's business: steps of a
// network stop long before it is as good. One thread; the same data give the same weights.
#pragma once

#include <cstdint>
#include <functional>

#include "finetune/adapter/side_network.h"
#include "finetune/train/side_scale.h"

namespace finetune {

/// Weights of the largest one that is fitted: what is remembered on the way is a dozen times as large.
inline constexpr std::int64_t kMostLinearWeights = std::int64_t{1} << 22;

struct LinearFitOptions {
  /// How little the weights are held back, scikit-learn's C: the loss is that of all examples together beside
  /// |w|^2 / (2 C). 0 = the best of 3, 10, 30, 100 by the validation part.
  double strength = 0;
};

struct LinearFit {
  SideLinear linear;
  double strength = 0;
  double loss = 0;  // mean over the validation part, scaled; over nothing: 0
};

/// `class_weights`: [K] or null. `shape`: columns, n-grams and outputs. `should_stop` is asked at every pass over the
/// data; true leaves with kCancelled. Without a validation part a strength must be given.
LinearFit fit_linear(kernels::Context& context, const SideShape& shape, const HeadTarget& target,
                     const ExamplePointers& train, const ExamplePointers& validation,
                     const kernels::Tensor* class_weights, const LinearFitOptions& options,
                     const std::function<bool()>& should_stop);

/// outputs: = what it says of the examples, [examples, K].
void linear_outputs(kernels::Context& context, const SideLinear& linear, const ExamplePointers& examples,
                    kernels::Tensor& outputs);

}  // namespace finetune
