// Rows of a table by token id. Letters: N tokens, V table rows, C channels.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

/// y[n] = table[ids[n]], or zeros where ids[n] is negative (a slot that somebody else fills).
/// table: [V, C] float32, bfloat16 or float16; ids: [N] int32; y: [N, C]. Throws std::invalid_argument on an id >= V.
void embedding_forward(Context& context, const Tensor& table, const Tensor& ids, Tensor& y);

/// dtable[ids[n]] += dy[n] for every id that is not negative, in the order of n.  dy: [N, C]; dtable: [V, C] float32.
void embedding_backward(Context& context, const Tensor& ids, const Tensor& dy, Tensor& dtable);

}  // namespace kernels
