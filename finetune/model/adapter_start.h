// AdapterStart: the first values of a low-rank adapter (PEFT's init_lora_weights). Pure but for the random numbers that
// it draws. Letters: R rank.
#pragma once

#include <functional>

#include "finetune/formats/peft.h"
#include "finetune/model/linear_adapter.h"
#include "kernels/core/context.h"
#include "kernels/core/random.h"

namespace finetune {

/// Sets a [R, in], b [out, R] and, for a pissa start, start_a and start_b to the same values. `weight` [out, in] is
/// only read for pissa; `adapter.scaling` must be set.
/// true: A uniform in +-1/sqrt(in), B zero. gaussian: A normal of deviation 1 / R, B zero. pissa (Meng et al. 2024):
/// A = sqrt(S/s) V^T, B = U sqrt(S/s) of the R leading singular directions of W.
/// Throws kInvalidInput for an exact pissa of a weight with more than 512 rows and columns.
void start_low_rank(kernels::Context& context, const PeftConfig& config, std::int64_t rank, std::int64_t inputs,
                    std::int64_t outputs, const std::function<kernels::Tensor()>& weight, LinearAdapter& adapter,
                    kernels::Random& random);

/// The Euclidean norm of each row. [out].
kernels::Tensor row_norms(const kernels::Tensor& matrix);

}  // namespace finetune
