// SupervisedRows: the rows of a batch that have a target, gathered in their order.
#pragma once

#include "kernels/core/context.h"
#include "kernels/cuda/view.h"

namespace kernels::cuda {

struct SupervisedRows {
  std::int64_t count = 0;
  Tensor rows;                // [N] int32, of which `count` are there: their places in the batch
  Tensor targets;             // the same: their targets
  GlobalView<float> weights;  // [N], the same: of row_weights, or 1
};

/// In `frame`. Waits for the count, which the host needs. A target that is neither one of `classes` nor kIgnoredTarget
/// is a fault, and its row is left out.
SupervisedRows supervised_rows(Context& context, ScratchFrame& frame, const Tensor& targets, const Tensor* row_weights,
                               std::int64_t classes);

}  // namespace kernels::cuda
