#include "kernels/ops/lora.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

// The type of a matrix beside activations of this type: the same, or float32.
DataType matrix_type(const Tensor& matrix, DataType type) {
  return matrix.type() == DataType::kFloat32 ? DataType::kFloat32 : type;
}

// Returns the type of the activations.
DataType check_branch(const char* operation, Context& context, const Tensor& x, const Tensor& a, const Tensor& b,
                      const Tensor& p, const LoraOptions& options) {
  check_devices(operation, context, {{"x", &x}, {"a", &a}, {"b", &b}, {"p", &p}});
  check_rank(operation, "x", x, 2);
  check_rank(operation, "a", a, 2);
  check_rank(operation, "b", b, 2);
  const DataType type = activation_type(operation, context, "x", x);
  check_shape(operation, "x", x, {x.size(0), a.size(1)}, type);
  check_shape(operation, "a", a, {a.size(0), a.size(1)}, matrix_type(a, type));
  check_shape(operation, "b", b, {b.size(0), a.size(0)}, matrix_type(b, type));
  check_shape(operation, "p", p, {x.size(0), a.size(0)}, type);
  if (!(options.dropout >= 0.0f && options.dropout < 1.0f)) {
    throw_invalid(operation, "dropout " + std::to_string(options.dropout) + " is not in [0, 1)");
  }
  return type;
}

}  // namespace

void lora_forward(Context& context, const Tensor& x, const Tensor& a, const Tensor& b, const LoraOptions& options,
                  Tensor& p, Tensor& y) {
  check_devices("lora_forward", context, {{"y", &y}});
  const DataType type = check_branch("lora_forward", context, x, a, b, p, options);
  check_shape("lora_forward", "y", y, {x.size(0), b.size(0)}, type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::lora_forward(context, x, a, b, options, p, y);
  }
  cpu::lora_forward(context, x, a, b, options, p, y);
}

void lora_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& p, const Tensor& a,
                   const Tensor& b, const LoraOptions& options, Tensor& da, Tensor& db, Tensor* dx) {
  check_devices("lora_backward", context, {{"dy", &dy}, {"da", &da}, {"db", &db}, {"dx", dx}});
  const DataType type = check_branch("lora_backward", context, x, a, b, p, options);
  check_shape("lora_backward", "dy", dy, {x.size(0), b.size(0)}, type);
  check_shape("lora_backward", "da", da, {a.size(0), a.size(1)});
  check_shape("lora_backward", "db", db, {b.size(0), b.size(1)});
  if (dx != nullptr) check_shape("lora_backward", "dx", *dx, {x.size(0), x.size(1)}, type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::lora_backward(context, dy, x, p, a, b, options, da, db, dx);
  }
  cpu::lora_backward(context, dy, x, p, a, b, options, da, db, dx);
}

}  // namespace kernels
