#include "kernels/ops/rotary.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

void resize_on(const Context& context, Tensor& tensor, Shape shape) {
  if (tensor.device() == context.device()) return tensor.resize(std::move(shape));
  tensor = Tensor(std::move(shape), DataType::kFloat32, context);
}

void rotate_checked(const char* operation, Context& context, const RotaryTable& table, float direction, Tensor& x) {
  check_devices(operation, context, {{"x", &x}, {"table.cosine", &table.cosine}, {"table.sine", &table.sine}});
  check_rank(operation, "x", x, 3);
  activation_type(operation, context, "x", x);
  check_rank(operation, "table.cosine", table.cosine, 2);
  const std::int64_t pairs = table.cosine.size(1);
  check_shape(operation, "table.cosine", table.cosine, {x.size(0), pairs});
  check_shape(operation, "table.sine", table.sine, {x.size(0), pairs});
  if (2 * pairs > x.size(2)) {
    throw_invalid(operation, std::to_string(pairs) + " frequencies do not fit x " + shape_to_string(x.shape()));
  }
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::rotate(context, table, direction, x);
  }
  cpu::rotate(context, table, direction, x);
}

}  // namespace

void make_rotary_table(Context& context, const Tensor& positions, const Tensor& inv_freq, float attention_factor,
                       RotaryTable& table) {
  check_devices("make_rotary_table", context, {{"positions", &positions}, {"inv_freq", &inv_freq}});
  check_rank("make_rotary_table", "positions", positions, 1);
  check_shape("make_rotary_table", "positions", positions, {positions.size(0)}, DataType::kInt32);
  check_rank("make_rotary_table", "inv_freq", inv_freq, 1);
  check_shape("make_rotary_table", "inv_freq", inv_freq, {inv_freq.size(0)});
  resize_on(context, table.cosine, {positions.size(0), inv_freq.size(0)});
  resize_on(context, table.sine, {positions.size(0), inv_freq.size(0)});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::make_rotary_table(context, positions, inv_freq, attention_factor, table);
  }
  cpu::make_rotary_table(context, positions, inv_freq, attention_factor, table);
}

void rotary_forward(Context& context, const RotaryTable& table, Tensor& x) {
  rotate_checked("rotary_forward", context, table, 1.0f, x);
}

void rotary_backward(Context& context, const RotaryTable& table, Tensor& dx) {
  rotate_checked("rotary_backward", context, table, -1.0f, dx);
}

}  // namespace kernels
