#include "kernels/ops/lora.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"

namespace kernels {
namespace {

void check_branch(const char* operation, const Tensor& x, const Tensor& a, const Tensor& b, const Tensor& p,
                  const LoraOptions& options) {
  check_rank(operation, "x", x, 2);
  check_rank(operation, "a", a, 2);
  check_rank(operation, "b", b, 2);
  check_shape(operation, "x", x, {x.size(0), a.size(1)});
  check_shape(operation, "a", a, {a.size(0), a.size(1)});
  check_shape(operation, "b", b, {b.size(0), a.size(0)});
  check_shape(operation, "p", p, {x.size(0), a.size(0)});
  if (!(options.dropout >= 0.0f && options.dropout < 1.0f)) {
    throw_invalid(operation, "dropout " + std::to_string(options.dropout) + " is not in [0, 1)");
  }
}

}  // namespace

void lora_forward(Context& context, const Tensor& x, const Tensor& a, const Tensor& b, const LoraOptions& options,
                  Tensor& p, Tensor& y) {
  check_on_cpu("lora_forward", context);
  check_branch("lora_forward", x, a, b, p, options);
  check_shape("lora_forward", "y", y, {x.size(0), b.size(0)});
  cpu::lora_forward(context, x, a, b, options, p, y);
}

void lora_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& p, const Tensor& a,
                   const Tensor& b, const LoraOptions& options, Tensor& da, Tensor& db, Tensor* dx) {
  check_on_cpu("lora_backward", context);
  check_branch("lora_backward", x, a, b, p, options);
  check_shape("lora_backward", "dy", dy, {x.size(0), b.size(0)});
  check_shape("lora_backward", "da", da, {a.size(0), a.size(1)});
  check_shape("lora_backward", "db", db, {b.size(0), b.size(1)});
  if (dx != nullptr) check_shape("lora_backward", "dx", *dx, {x.size(0), x.size(1)});
  cpu::lora_backward(context, dy, x, p, a, b, options, da, db, dx);
}

}  // namespace kernels
