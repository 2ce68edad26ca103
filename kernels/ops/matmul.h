// Matrix products. Row-major, float32 accumulation. Activations are float32; on CUDA they may be bfloat16 or float16,
// and a result is then of that type or float32, as its tensor says. A weight of another type is taken in that of the
// activations.
// Letters: N rows (tokens), `in` and `out` the two sides of a weight, which is always stored [out, in].
#pragma once

#include <cstdint>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/quantise.h"

namespace kernels {

struct MatmulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1.0f;
  /// 0 overwrites c (whatever it held, NaN included); 1 adds to it.
  float beta = 0.0f;
};

/// c = alpha * op(a) op(b) + beta * c.  op(a): [m, k]; op(b): [k, n]; c: [m, n]; all 2-D. a: an activation; b: float32,
/// bfloat16 or float16. c must not overlap a or b. Throws std::invalid_argument on shapes that do not fit.
void matmul(Context& context, const Tensor& a, const Tensor& b, Tensor& c, const MatmulOptions& options = {});

/// The same on raw float32 pointers with leading dimensions (elements from one stored row to the next), for
/// sub-matrices of wider tensors: op(a) is m x k, op(b) is k x n, c is m x n. k = 0 leaves beta * c. Unchecked.
void gemm(Context& context, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc);

/// A weight [out, in], float32, bfloat16, float16 or quantised, as the linear layers below want it. It keeps what it is
/// given, owning or view (then the owner must outlive it), in its own type: 16 bits stay 2 bytes and a quantised weight
/// its codes; they are widened block by block in use.
class PackedWeight {
 public:
  /// No weight; only assignment and has_value() are allowed.
  PackedWeight() = default;

  /// Throws std::invalid_argument unless `weight` is 2-D float32, bfloat16 or float16.
  explicit PackedWeight(Tensor weight);
  /// Throws std::invalid_argument unless `weight` is 2-D.
  explicit PackedWeight(QuantisedWeight weight);

  bool has_value() const { return is_quantised() || weight_.rank() == 2; }
  bool is_quantised() const { return quantised_.shape.size() == 2; }
  std::int64_t out_features() const { return is_quantised() ? quantised_.shape[0] : weight_.size(0); }
  std::int64_t in_features() const { return is_quantised() ? quantised_.shape[1] : weight_.size(1); }
  /// The tensor it was made of; an empty one when quantised.
  const Tensor& weight() const { return weight_; }
  /// Without a shape unless quantised.
  const QuantisedWeight& quantised() const { return quantised_; }

  /// To be called after the values of a viewed weight changed (a weight that is itself trained).
  void refresh();

 private:
  Tensor weight_;
  QuantisedWeight quantised_;
};

/// y = x W^T + beta * y.  x: [N, in]; y: [N, out]. N may be 0; few rows take a path that reads the weight once.
void linear(Context& context, const Tensor& x, const PackedWeight& weight, Tensor& y, float beta = 0.0f);

/// dx = dy W + beta * dx.  dy: [N, out]; dx: [N, in].
void linear_backward_input(Context& context, const Tensor& dy, const PackedWeight& weight, Tensor& dx,
                           float beta = 0.0f);

/// dweight = dy^T x + beta * dweight.  dy: [N, out]; x: [N, in]; dweight: [out, in] float32. Only for weights that are
/// trained.
void linear_backward_weight(Context& context, const Tensor& dy, const Tensor& x, Tensor& dweight, float beta = 1.0f);

}  // namespace kernels
