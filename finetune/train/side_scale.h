// How sure of itself an output may be: the one factor by which outputs suit labelled examples best (temperature
// scaling: Guo et al. 2017), and the loss that is left with it. Numbers stay as they are. Pure functions; any thread.
#pragma once

#include <span>
#include <vector>

#include "finetune/adapter/head_loss.h"

namespace finetune {

using ExamplePointers = std::vector<const EncodedExample*>;

/// What stands beside the base reads of them.
std::vector<const SideInput*> inputs_of(std::span<const EncodedExample* const> examples);

struct ScaledLoss {
  double loss = 0;  // mean over what the examples teach; NaN over nothing
  double factor = 1;
};

/// outputs: [examples, output_count]; `class_weights`: [K] or null.
ScaledLoss best_scale(kernels::Context& context, const HeadTarget& target, const ExamplePointers& examples,
                      const kernels::Tensor& outputs, const kernels::Tensor* class_weights);

}  // namespace finetune
