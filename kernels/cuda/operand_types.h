// Operands of products in the type that the product computes in. What has another one is copied into workspace that the
// frame gives back, so that a layer's restored weight lies where the last layer's lay.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/matmul.h"

namespace kernels::cuda {

/// The tensor itself (a view), or a copy in `frame`.
Tensor in_type(Context& context, ScratchFrame& frame, const Tensor& tensor, DataType type);

/// The same of a weight; a quantised one is restored.
Tensor weight_in_type(Context& context, ScratchFrame& frame, const PackedWeight& weight, DataType type);

}  // namespace kernels::cuda
