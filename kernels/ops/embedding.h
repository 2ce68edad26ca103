// Rows of a table by token id, alone or as weighted sums. y and dy are float32, on CUDA also bfloat16 or float16.
// Values out of range throw std::invalid_argument; on CUDA an id out of range is left out and thrown at the next
// Context::synchronise(), and offsets are cut to the entries. Letters: N tokens, V table rows, C channels, B bags.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

/// y[n] = table[ids[n]], or zeros where ids[n] is negative (a slot that somebody else fills).
/// table: [V, C] float32, bfloat16 or float16; ids: [N] int32, below V; y: [N, C].
void embedding_forward(Context& context, const Tensor& table, const Tensor& ids, Tensor& y);

/// dtable[ids[n]] += dy[n] for every id that is not negative, in the order of n.  dy: [N, C]; dtable: [V, C] float32.
void embedding_backward(Context& context, const Tensor& ids, const Tensor& dy, Tensor& dtable);

/// y[b] = sum of weights[n] * table[ids[n]] over n in [offsets[b], offsets[b + 1]), in that order; an empty bag is
/// zeros. table: [V, C] float32; ids: [N] int32 in [0, V); offsets: [B + 1] int32, rising from 0 to N; weights: [N]
/// float32; y: [B, C].
void embedding_bag_forward(Context& context, const Tensor& table, const Tensor& ids, const Tensor& offsets,
                           const Tensor& weights, Tensor& y);

/// dtable[ids[n]] += weights[n] * dy[b] for every n of every bag b, in order.  dy: [B, C]; dtable: [V, C].
void embedding_bag_backward(Context& context, const Tensor& ids, const Tensor& offsets, const Tensor& weights,
                            const Tensor& dy, Tensor& dtable);

}  // namespace kernels
