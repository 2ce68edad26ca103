// How sure of itself an output may be: the one factor by which outputs suit labelled examples best (temperature
// scaling: Guo et al. 2017), and the loss that is left with it; and the factor that bounds what tells all examples
// apart. Numbers stay as they are. Pure functions; any thread.
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

/// Examples that are all told apart suit any certainty: their loss is least without an end. That nothing went wrong
/// among n of them is still no proof that nothing will. So this is the factor with which the outputs leave to what did
/// not happen a chance of 1 / (n + 2) on average (Laplace's rule of succession), between exp(-6) and 1; 1 where they
/// leave it more already, where an example is told wrong, which bounds best_scale(), and for numbers. Of several labels
/// the average is over examples and labels. outputs: [examples, output_count].
double succession_factor(const HeadTarget& target, const ExamplePointers& examples, const kernels::Tensor& outputs);

}  // namespace finetune
