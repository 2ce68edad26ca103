#include "kernels/core/context.h"
#include "kernels/cuda/each.h"
#include "kernels/cuda/matrix_product.h"
#include "kernels/cuda/operand_types.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

Matrix matrix_of(const Tensor& tensor) { return {tensor.raw_data(), tensor.type(), tensor.size(1)}; }

void multiply(Context& context, const char* operation, const Tensor& a, bool transpose_a, const Tensor& b,
              bool transpose_b, float alpha, float beta, Tensor& c) {
  ScratchFrame frame(context);
  const Tensor right = in_type(context, frame, b, a.type());
  MatrixProduct product;
  product.transpose_a = transpose_a;
  product.transpose_b = transpose_b;
  product.m = c.size(0);
  product.n = c.size(1);
  product.k = a.size(transpose_a ? 0 : 1);
  product.alpha = alpha;
  product.beta = beta;
  product.a = matrix_of(a);
  product.b = matrix_of(right);
  product.c = c.raw_data();
  product.c_type = c.type();
  product.c_row_stride = c.size(1);
  matrix_product(context, operation, product);
}

}  // namespace

Tensor in_type(Context& context, ScratchFrame& frame, const Tensor& tensor, DataType type) {
  if (tensor.type() == type) return tensor.view();
  const auto bytes = static_cast<std::size_t>(tensor.count()) * size_of(type);
  Tensor narrowed = Tensor::wrap(frame.bytes(bytes), tensor.shape(), type, context);
  cuda::cast(context, tensor, narrowed);
  return narrowed;
}

Tensor weight_in_type(Context& context, ScratchFrame& frame, const PackedWeight& weight, DataType type) {
  if (!weight.is_quantised()) return in_type(context, frame, weight.weight(), type);
  const QuantisedWeight& codes = weight.quantised();
  const auto bytes = static_cast<std::size_t>(codes.count()) * size_of(type);
  Tensor restored = Tensor::wrap(frame.bytes(bytes), codes.shape, type, context);
  cuda::dequantise(context, codes, restored);
  return restored;
}

void matmul(Context& context, const Tensor& a, const Tensor& b, Tensor& c, const MatmulOptions& options) {
  multiply(context, "matmul", a, options.transpose_a, b, options.transpose_b, options.alpha, options.beta, c);
}

void gemm(Context& context, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  MatrixProduct product{transpose_a, transpose_b, m, n, k, alpha, beta, {a, DataType::kFloat32, lda}};
  product.b = {b, DataType::kFloat32, ldb};
  product.c = c;
  product.c_row_stride = ldc;
  matrix_product(context, "gemm", product);
}

// A quantised weight is restored once a call, into workspace that the next layer uses again.
void linear(Context& context, const Tensor& x, const PackedWeight& weight, Tensor& y, float beta) {
  ScratchFrame frame(context);
  multiply(context, "linear", x, false, weight_in_type(context, frame, weight, x.type()), true, 1.0f, beta, y);
}

void linear_backward_input(Context& context, const Tensor& dy, const PackedWeight& weight, Tensor& dx, float beta) {
  ScratchFrame frame(context);
  multiply(context, "linear_backward_input", dy, false, weight_in_type(context, frame, weight, dy.type()), false, 1.0f,
           beta, dx);
}

void linear_backward_weight(Context& context, const Tensor& dy, const Tensor& x, Tensor& dweight, float beta) {
  multiply(context, "linear_backward_weight", dy, true, x, false, 1.0f, beta, dweight);
}

}  // namespace kernels::cuda
