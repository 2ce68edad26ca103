// Rotary position embedding, rotate-half layout: channel i is paired with i + rotated/2; channels from `rotated` on
// pass through. Letters: N tokens, H heads, D head size, F = rotated / 2 frequencies.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

/// Cosines and sines of one batch, shared by all layers with the same frequencies.
struct RotaryTable {
  Tensor cosine;  // [N, F], multiplied by the attention factor
  Tensor sine;    // [N, F], multiplied by the attention factor
};

/// angle[n, f] = positions[n] * inv_freq[f], in double.  positions: [N] int32; inv_freq: [F] float32.
/// Reuses the memory of `table` where it lies on the context's device.
void make_rotary_table(Context& context, const Tensor& positions, const Tensor& inv_freq, float attention_factor,
                       RotaryTable& table);

/// In place: (x1, x2) = (x1 cos - x2 sin, x2 cos + x1 sin).  x: [N, H, D] float32, on CUDA also bfloat16 or float16;
/// 2 F <= D.
void rotary_forward(Context& context, const RotaryTable& table, Tensor& x);

/// In place: the transpose of the above.  dx: [N, H, D].
void rotary_backward(Context& context, const RotaryTable& table, Tensor& dx);

}  // namespace kernels
