// How much an example counts by its label. Pure function; any thread.
#pragma once

#include <vector>

#include "finetune/train/example_encoding.h"
#include "kernels/core/tensor.h"

namespace finetune {

/// [classes]: n / (K n_c), at most 20, so that one rare example cannot rule a step. Every label must be below
/// `classes`.
kernels::Tensor balanced_weights(const std::vector<EncodedExample>& examples, std::size_t classes);

}  // namespace finetune
