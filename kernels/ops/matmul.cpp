#include "kernels/ops/matmul.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

void check_weight(const char* operation, const Context& context, const PackedWeight& weight) {
  if (!weight.has_value()) throw_invalid(operation, "the weight is empty");
  const QuantisedWeight& quantised = weight.quantised();
  check_devices(operation, context,
                {{"weight", &weight.weight()},
                 {"weight.codes", &quantised.codes},
                 {"weight.scales", &quantised.scales},
                 {"weight.scale_codes", &quantised.scale_codes},
                 {"weight.nested_scales", &quantised.nested_scales}});
}

// The type of a result of products of this type: the same, or float32.
DataType product_type(const Tensor& result, DataType type) {
  return result.type() == DataType::kFloat32 ? DataType::kFloat32 : type;
}

}  // namespace

void matmul(Context& context, const Tensor& a, const Tensor& b, Tensor& c, const MatmulOptions& options) {
  check_devices("matmul", context, {{"a", &a}, {"b", &b}, {"c", &c}});
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
  check_shape("matmul", "c", c, {m, n}, product_type(c, activation_type("matmul", context, "a", a)));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::matmul(context, a, b, c, options);
  }
  ScratchFrame frame(context);
  cpu::gemm(context, options.transpose_a, options.transpose_b, m, n, k, options.alpha, a.data<float>(), a.size(1),
            cpu::as_float(context, frame, b), b.size(1), options.beta, c.data<float>(), n);
}

void gemm(Context& context, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  if constexpr (kCudaBuilt) {
    if (context.is_cuda())
      return cuda::gemm(context, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  }
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
  check_devices("linear", context, {{"x", &x}, {"y", &y}});
  check_weight("linear", context, weight);
  check_rank("linear", "x", x, 2);
  const DataType type = activation_type("linear", context, "x", x);
  check_shape("linear", "x", x, {x.size(0), weight.in_features()}, type);
  check_shape("linear", "y", y, {x.size(0), weight.out_features()}, product_type(y, type));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::linear(context, x, weight, y, beta);
  }
  cpu::linear(context, x, weight, y, beta);
}

void linear_backward_input(Context& context, const Tensor& dy, const PackedWeight& weight, Tensor& dx, float beta) {
  check_devices("linear_backward_input", context, {{"dy", &dy}, {"dx", &dx}});
  check_weight("linear_backward_input", context, weight);
  check_rank("linear_backward_input", "dy", dy, 2);
  const DataType type = activation_type("linear_backward_input", context, "dy", dy);
  check_shape("linear_backward_input", "dy", dy, {dy.size(0), weight.out_features()}, type);
  check_shape("linear_backward_input", "dx", dx, {dy.size(0), weight.in_features()}, product_type(dx, type));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::linear_backward_input(context, dy, weight, dx, beta);
  }
  cpu::linear_backward_input(context, dy, weight, dx, beta);
}

void linear_backward_weight(Context& context, const Tensor& dy, const Tensor& x, Tensor& dweight, float beta) {
  check_devices("linear_backward_weight", context, {{"dy", &dy}, {"x", &x}, {"dweight", &dweight}});
  check_rank("linear_backward_weight", "dy", dy, 2);
  check_rank("linear_backward_weight", "x", x, 2);
  const DataType type = activation_type("linear_backward_weight", context, "dy", dy);
  check_shape("linear_backward_weight", "x", x, {dy.size(0), x.size(1)}, type);
  check_shape("linear_backward_weight", "dweight", dweight, {dy.size(1), x.size(1)});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::linear_backward_weight(context, dy, x, dweight, beta);
  }
  cpu::gemm(context, true, false, dy.size(1), x.size(1), dy.size(0), 1.0f, dy.data<float>(), dy.size(1),
            x.data<float>(), x.size(1), beta, dweight.data<float>(), x.size(1));
}

}  // namespace kernels
