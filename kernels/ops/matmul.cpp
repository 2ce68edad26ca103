#include "kernels/ops/matmul.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"

namespace kernels {
namespace {

void check_weight(const char* operation, const PackedWeight& weight) {
  if (!weight.has_value()) throw_invalid(operation, "the weight is empty");
}

}  // namespace

void matmul(Context& context, const Tensor& a, const Tensor& b, Tensor& c, const MatmulOptions& options) {
  check_on_cpu("matmul", context);
  check_rank("matmul", "a", a, 2);
  check_rank("matmul", "b", b, 2);
  check_floating("matmul", "b", b);
  const std::int64_t m = a.size(options.transpose_a ? 1 : 0), k = a.size(options.transpose_a ? 0 : 1);
  const std::int64_t inner = b.size(options.transpose_b ? 1 : 0), n = b.size(options.transpose_b ? 0 : 1);
  if (inner != k) {
    throw_invalid("matmul", "a " + shape_to_string(a.shape()) + (options.transpose_a ? " transposed" : "") + " and b " +
                                shape_to_string(b.shape()) + (options.transpose_b ? " transposed" : "") +
                                " do not fit");
  }
  check_shape("matmul", "a", a, {a.size(0), a.size(1)});
  check_shape("matmul", "c", c, {m, n});
  ScratchFrame frame(context);
  cpu::gemm(context, options.transpose_a, options.transpose_b, m, n, k, options.alpha, a.data<float>(), a.size(1),
            cpu::as_float(context, frame, b), b.size(1), options.beta, c.data<float>(), n);
}

void gemm(Context& context, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  check_on_cpu("gemm", context);
  cpu::gemm(context, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

PackedWeight::PackedWeight(Tensor weight) : weight_(std::move(weight)) {
  check_rank("packed_weight", "weight", weight_, 2);
  check_floating("packed_weight", "weight", weight_);
}

PackedWeight::PackedWeight(QuantisedWeight weight) : quantised_(std::move(weight)) {
  if (quantised_.shape.size() == 2) return;
  throw_invalid("packed_weight", "weight is " + shape_to_string(quantised_.shape) + ", expected 2 dimensions");
}

// The CPU reads the tensor at every call and keeps nothing derived from it.
void PackedWeight::refresh() {}

void linear(Context& context, const Tensor& x, const PackedWeight& weight, Tensor& y, float beta) {
  check_on_cpu("linear", context);
  check_weight("linear", weight);
  check_rank("linear", "x", x, 2);
  check_shape("linear", "x", x, {x.size(0), weight.in_features()});
  check_shape("linear", "y", y, {x.size(0), weight.out_features()});
  cpu::linear(context, x, weight, y, beta);
}

void linear_backward_input(Context& context, const Tensor& dy, const PackedWeight& weight, Tensor& dx, float beta) {
  check_on_cpu("linear_backward_input", context);
  check_weight("linear_backward_input", weight);
  check_rank("linear_backward_input", "dy", dy, 2);
  check_shape("linear_backward_input", "dy", dy, {dy.size(0), weight.out_features()});
  check_shape("linear_backward_input", "dx", dx, {dy.size(0), weight.in_features()});
  cpu::linear_backward_input(context, dy, weight, dx, beta);
}

void linear_backward_weight(Context& context, const Tensor& dy, const Tensor& x, Tensor& dweight, float beta) {
  check_on_cpu("linear_backward_weight", context);
  check_rank("linear_backward_weight", "dy", dy, 2);
  check_rank("linear_backward_weight", "x", x, 2);
  check_shape("linear_backward_weight", "x", x, {dy.size(0), x.size(1)});
  check_shape("linear_backward_weight", "dweight", dweight, {dy.size(1), x.size(1)});
  cpu::gemm(context, true, false, dy.size(1), x.size(1), dy.size(0), 1.0f, dy.data<float>(), dy.size(1),
            x.data<float>(), x.size(1), beta, dweight.data<float>(), x.size(1));
}

}  // namespace kernels
