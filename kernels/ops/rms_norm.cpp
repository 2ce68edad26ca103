#include "kernels/ops/rms_norm.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"
#include "kernels/ops/elementwise.h"

namespace kernels {
namespace {

// Checks x, the weight and rstd against each other; the type of the activations.
DataType checked_rows(const char* operation, const Context& context, const Tensor& x, const Tensor& weight,
                      const Tensor& rstd) {
  const DataType type = activation_type(operation, context, "x", x);
  check_rank(operation, "weight", weight, 1);
  check_floating(operation, "weight", weight);
  const std::int64_t channels = weight.size(0);
  if (channels == 0 || x.rank() == 0 || x.size(-1) % channels != 0) {
    throw_invalid(operation,
                  "x " + shape_to_string(x.shape()) + " does not split into rows of " + std::to_string(channels));
  }
  check_count(operation, "rstd", rstd, x.count() / channels);
  return type;
}

}  // namespace

void rms_norm_forward(Context& context, const Tensor& x, const Tensor& weight, const RmsNormOptions& options, Tensor& y,
                      Tensor& rstd) {
  constexpr const char* kOperation = "rms_norm_forward";
  check_devices(kOperation, context, {{"x", &x}, {"weight", &weight}, {"y", &y}, {"rstd", &rstd}});
  check_count(kOperation, "y", y, x.count(), checked_rows(kOperation, context, x, weight, rstd));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::rms_norm_forward(context, x, weight, options, y, rstd);
  }
  cpu::rms_norm_forward(context, x, weight, options, y, rstd);
}

void add_rms_norm_forward(Context& context, const Tensor& delta, const Tensor& weight, const RmsNormOptions& options,
                          Tensor& residual, Tensor& y, Tensor& rstd) {
  constexpr const char* kOperation = "add_rms_norm_forward";
  check_devices(kOperation, context,
                {{"delta", &delta}, {"weight", &weight}, {"residual", &residual}, {"y", &y}, {"rstd", &rstd}});
  const DataType type = checked_rows(kOperation, context, residual, weight, rstd);
  check_count(kOperation, "delta", delta, residual.count(), type);
  check_count(kOperation, "y", y, residual.count(), type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::add_rms_norm_forward(context, delta, weight, options, residual, y, rstd);
  }
  add(context, delta, residual);
  cpu::rms_norm_forward(context, residual, weight, options, y, rstd);
}

void rms_norm_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const RmsNormOptions& options, Tensor& dx, Tensor* dweight, bool accumulate_dx) {
  constexpr const char* kOperation = "rms_norm_backward";
  check_devices(kOperation, context,
                {{"dy", &dy}, {"x", &x}, {"weight", &weight}, {"rstd", &rstd}, {"dx", &dx}, {"dweight", dweight}});
  const DataType type = checked_rows(kOperation, context, x, weight, rstd);
  check_count(kOperation, "dy", dy, x.count(), type);
  check_count(kOperation, "dx", dx, x.count(), type);
  if (dweight != nullptr) check_shape(kOperation, "dweight", *dweight, {weight.size(0)});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda())
      return cuda::rms_norm_backward(context, dy, x, weight, rstd, options, dx, dweight, accumulate_dx);
  }
  cpu::rms_norm_backward(context, dy, x, weight, rstd, options, dx, dweight, accumulate_dx);
}

}  // namespace kernels
