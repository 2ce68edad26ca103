#include "kernels/ops/rms_norm.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"

namespace kernels {
namespace {

// Checks the weight against x and returns the number of rows.
std::int64_t checked_rows(const char* operation, const Tensor& x, const Tensor& weight) {
  const DataType type = weight.type() == DataType::kBFloat16 ? DataType::kBFloat16 : DataType::kFloat32;
  check_rank(operation, "weight", weight, 1);
  check_count(operation, "weight", weight, weight.size(0), type);
  const std::int64_t channels = weight.size(0);
  if (channels == 0 || x.rank() == 0 || x.size(-1) % channels != 0) {
    throw_invalid(operation,
                  "x " + shape_to_string(x.shape()) + " does not split into rows of " + std::to_string(channels));
  }
  check_count(operation, "x", x, x.count());
  return x.count() / channels;
}

}  // namespace

void rms_norm_forward(Context& context, const Tensor& x, const Tensor& weight, const RmsNormOptions& options, Tensor& y,
                      Tensor& rstd) {
  check_on_cpu("rms_norm_forward", context);
  check_count("rms_norm_forward", "rstd", rstd, checked_rows("rms_norm_forward", x, weight));
  check_count("rms_norm_forward", "y", y, x.count());
  cpu::rms_norm_forward(context, x, weight, options, y, rstd);
}

void rms_norm_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const RmsNormOptions& options, Tensor& dx, Tensor* dweight, bool accumulate_dx) {
  check_on_cpu("rms_norm_backward", context);
  check_count("rms_norm_backward", "rstd", rstd, checked_rows("rms_norm_backward", x, weight));
  check_count("rms_norm_backward", "dy", dy, x.count());
  check_count("rms_norm_backward", "dx", dx, x.count());
  if (dweight != nullptr) check_shape("rms_norm_backward", "dweight", *dweight, {weight.size(0)});
  cpu::rms_norm_backward(context, dy, x, weight, rstd, options, dx, dweight, accumulate_dx);
}

}  // namespace kernels
