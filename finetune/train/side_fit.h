// Fits a SideNetwork to the training part: AdamW on each member's own loss, weights averaged over the steps, the best
// of a dozen looks at the validation part. Labels: the outputs are scaled by the one factor that suits the validation
// part best (temperature scaling: Guo et al. 2017), at every look, so that a fit is not judged by how sure of itself it
// is. One thread; the same data and seed give the same weights.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "finetune/adapter/side_network.h"
#include "finetune/train/side_scale.h"

namespace finetune {

struct SideFitOptions {
  double epochs = 30;
  std::int64_t min_steps = 600, max_steps = 4000;
  std::int64_t looks = 12;
  float learning_rate = 2e-3f;
  float weight_decay = 1e-2f;
  double dropout = 0.1;
  double thinning = 0.3;          // share of a text's n-grams left out at random
  double weight_average = 0.995;  // memory of the average of the weights over the steps
  double stop_at = 0;             // share of the steps after which to stop, without a look; 0 = the best look
  std::uint64_t seed = 1;
};

struct SideFit {
  std::int64_t steps = 0, best_step = 0;
  double loss = 0;  // mean over the validation part, scaled; over nothing: 0
  double factor = 1;
};

/// Adds what the network says of the examples to outputs: [examples, output_count].
void add_side_outputs(kernels::Context& context, SideNetwork& network, const ExamplePointers& examples,
                      kernels::Tensor& outputs);

/// `class_weights`: [K] or null. `should_stop` is asked once a second, so that a short fit is done in one go; true
/// leaves with kCancelled and the network as it was. Without a validation part the last step is taken.
SideFit fit_side_network(kernels::Context& context, SideNetwork& network, const HeadTarget& target,
                         const ExamplePointers& train, const ExamplePointers& validation,
                         const kernels::Tensor* class_weights, const SideFitOptions& options,
                         const std::function<bool()>& should_stop);

}  // namespace finetune
