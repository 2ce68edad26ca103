// Small operations on whole tensors and on rows. Unless said otherwise all tensors have equal element counts and one
// type, float32 or, on CUDA, bfloat16 or float16 too, and an output may be an input. A row out of range is refused; on
// CUDA it is left out, and refused at the next Context::synchronise(). Letters: N and M rows, C channels.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/activation.h"

namespace kernels {

/// y += factor * x.
void add(Context& context, const Tensor& x, Tensor& y, float factor = 1.0f);

/// y = a * b, element by element.
void multiply(Context& context, const Tensor& a, const Tensor& b, Tensor& y);

/// y *= factor.
void scale(Context& context, Tensor& y, float factor);

/// y = cap * tanh(y / cap).  cap > 0.
void softcap(Context& context, Tensor& y, float cap);

/// y = x in y's type, float32, bfloat16 or float16, rounded to nearest even. y is not x.
void cast(Context& context, const Tensor& x, Tensor& y);

/// y[n] += factor * bias for every row.  y: [N, C]; bias: [C] float32, bfloat16 or float16.
void add_bias(Context& context, const Tensor& bias, Tensor& y, float factor = 1.0f);

/// total += factor * sum over rows of x; the backward of add_bias.  x: [N, C]; total: [C] float32.
void sum_rows(Context& context, const Tensor& x, Tensor& total, float factor = 1.0f);

/// y[n] = x[n] * factors + beta * y[n] for every row.  x, y: [N, C]; factors: [C] float32. beta 0 overwrites.
void multiply_columns(Context& context, const Tensor& x, const Tensor& factors, Tensor& y, float beta = 0.0f);

/// total += sum over rows of a * b; the backward of multiply_columns for the factors.  a, b: [N, C]; total: [C]
/// float32.
void dot_columns(Context& context, const Tensor& a, const Tensor& b, Tensor& total);

/// y = act(x).
void activation_forward(Context& context, Activation activation, const Tensor& x, Tensor& y);

/// dx = dy * act'(x).
void activation_backward(Context& context, Activation activation, const Tensor& dy, const Tensor& x, Tensor& dx);

/// y[m] = x[rows[m]].  x: [N, C]; rows: [M] int32 in [0, N); y: [M, C], not x.
void gather_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y);

/// y[rows[m]] = x[m].  x: [M, C]; rows: [M] int32 in [0, N), each at most once; y: [N, C], not x.
void scatter_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y);

/// y[rows[m]] += x[m]; rows may repeat.  x: [M, C]; rows: [M] int32 in [0, N); y: [N, C], not x.
void scatter_add_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y);

}  // namespace kernels
