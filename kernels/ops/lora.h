// The low-rank branch beside a frozen linear layer. The product B A and the gradient of the frozen weight are never
// formed. Letters: N rows, R rank; A is [R, in], B is [out, R], as adapters are stored.
// Activations (x, p, y and their gradients) may be bfloat16 or float16 on CUDA, all the same, and A and B are then of
// that type or float32; da and db are float32.
#pragma once

#include <cstdint>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

struct LoraOptions {
  /// s, usually alpha / R.
  float scaling = 1.0f;
  /// Probability that an input element of this branch is dropped; the rest is multiplied by 1 / (1 - dropout).
  /// In [0, 1); 0 in evaluation.
  float dropout = 0.0f;
  /// Names the dropout mask: element i of x is kept or dropped by (seed, i) alone, so backward makes the same mask
  /// again.
  std::uint64_t seed = 0;
};

/// p = drop(x) A^T (kept for backward);  y += s p B^T.  x: [N, in]; a: [R, in]; b: [out, R]; p: [N, R]; y: [N, out].
void lora_forward(Context& context, const Tensor& x, const Tensor& a, const Tensor& b, const LoraOptions& options,
                  Tensor& p, Tensor& y);

/// With q = dy B:  db += s dy^T p;  da += s q^T drop(x);  dx += s drop'(q A).
/// dy: [N, out]; x: [N, in]; p: [N, R] from forward; da: [R, in]; db: [out, R]; dx: [N, in] or null when nothing below
/// it is trained. The options must be those of forward.
void lora_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& p, const Tensor& a,
                   const Tensor& b, const LoraOptions& options, Tensor& da, Tensor& db, Tensor* dx);

}  // namespace kernels
