#include "kernels/ops/elementwise.h"

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/core/parallel.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

constexpr std::int64_t kGrainElements = 16384;

// The values of a tensor on a device are checked there.
void check_rows(const char* operation, const Context& context, const Tensor& rows, std::int64_t count,
                std::int64_t limit) {
  check_shape(operation, "rows", rows, {count}, DataType::kInt32);
  if (context.is_cuda()) return;
  for (const std::int32_t row : rows.values<std::int32_t>()) {
    if (row >= 0 && row < limit) continue;
    throw_invalid(operation, "row " + std::to_string(row) + " is not one of " + std::to_string(limit));
  }
}

// x [M, C] into rows of y [N, C].
void check_scatter(const char* operation, const Context& context, const Tensor& x, const Tensor& rows,
                   const Tensor& y) {
  check_devices(operation, context, {{"x", &x}, {"rows", &rows}, {"y", &y}});
  const DataType type = activation_type(operation, context, "x", x);
  check_rank(operation, "x", x, 2);
  check_rank(operation, "y", y, 2);
  check_shape(operation, "y", y, {y.size(0), x.size(1)}, type);
  check_rows(operation, context, rows, x.size(0), y.size(0));
}

}  // namespace

void add(Context& context, const Tensor& x, Tensor& y, float factor) {
  check_devices("add", context, {{"x", &x}, {"y", &y}});
  check_count("add", "x", x, y.count(), activation_type("add", context, "y", y));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::add(context, x, y, factor);
  }
  const float* inputs = x.data<float>();
  float* outputs = y.data<float>();
  parallel_for(context, y.count(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    cpu::add(inputs + begin, factor, end - begin, outputs + begin);
  });
}

void multiply(Context& context, const Tensor& a, const Tensor& b, Tensor& y) {
  check_devices("multiply", context, {{"a", &a}, {"b", &b}, {"y", &y}});
  const DataType type = activation_type("multiply", context, "y", y);
  check_count("multiply", "a", a, y.count(), type);
  check_count("multiply", "b", b, y.count(), type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::multiply(context, a, b, y);
  }
  const float *left = a.data<float>(), *right = b.data<float>();
  float* outputs = y.data<float>();
  parallel_for(context, y.count(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    cpu::multiply(left + begin, right + begin, end - begin, outputs + begin);
  });
}

void scale(Context& context, Tensor& y, float factor) {
  check_devices("scale", context, {{"y", &y}});
  activation_type("scale", context, "y", y);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::scale(context, y, factor);
  }
  float* values = y.data<float>();
  parallel_for(context, y.count(), kGrainElements,
               [&](std::int64_t begin, std::int64_t end) { cpu::scale(factor, end - begin, values + begin); });
}

void softcap(Context& context, Tensor& y, float cap) {
  check_devices("softcap", context, {{"y", &y}});
  activation_type("softcap", context, "y", y);
  if (!(cap > 0.0f)) throw_invalid("softcap", "cap " + std::to_string(cap) + " is not above 0");
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::softcap(context, y, cap);
  }
  float* values = y.data<float>();
  parallel_for(context, y.count(), kGrainElements,
               [&](std::int64_t begin, std::int64_t end) { cpu::softcap_row(values + begin, end - begin, cap); });
}

void cast(Context& context, const Tensor& x, Tensor& y) {
  check_devices("cast", context, {{"x", &x}, {"y", &y}});
  check_floating("cast", "x", x);
  check_floating("cast", "y", y);
  check_count("cast", "x", x, y.count(), x.type());
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::cast(context, x, y);
  }
  y.copy_from(x.cast_to(y.type()));
}

void add_bias(Context& context, const Tensor& bias, Tensor& y, float factor) {
  check_devices("add_bias", context, {{"bias", &bias}, {"y", &y}});
  check_rank("add_bias", "y", y, 2);
  activation_type("add_bias", context, "y", y);
  check_floating("add_bias", "bias", bias);
  check_shape("add_bias", "bias", bias, {y.size(1)}, bias.type());
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::add_bias(context, bias, y, factor);
  }
  ScratchFrame frame(context);
  const float* values = cpu::as_float(context, frame, bias);
  float* outputs = y.data<float>();
  const std::int64_t channels = y.size(1);
  parallel_for(context, y.size(0), 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) cpu::add(values, factor, channels, outputs + n * channels);
  });
}

// Threads share the channels, so that every channel adds its rows in order.
void sum_rows(Context& context, const Tensor& x, Tensor& total, float factor) {
  check_devices("sum_rows", context, {{"x", &x}, {"total", &total}});
  check_rank("sum_rows", "x", x, 2);
  activation_type("sum_rows", context, "x", x);
  check_shape("sum_rows", "total", total, {x.size(1)});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::sum_rows(context, x, total, factor);
  }
  const float* inputs = x.data<float>();
  float* totals = total.data<float>();
  const std::int64_t rows = x.size(0), channels = x.size(1);
  parallel_for(context, channels, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < rows; ++n)
      cpu::add(inputs + n * channels + begin, factor, end - begin, totals + begin);
  });
}

void multiply_columns(Context& context, const Tensor& x, const Tensor& factors, Tensor& y, float beta) {
  check_devices("multiply_columns", context, {{"x", &x}, {"factors", &factors}, {"y", &y}});
  check_rank("multiply_columns", "x", x, 2);
  const DataType type = activation_type("multiply_columns", context, "x", x);
  check_shape("multiply_columns", "factors", factors, {x.size(1)});
  check_shape("multiply_columns", "y", y, {x.size(0), x.size(1)}, type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::multiply_columns(context, x, factors, y, beta);
  }
  const float *inputs = x.data<float>(), *values = factors.data<float>();
  float* outputs = y.data<float>();
  const std::int64_t channels = x.size(1);
  parallel_for(context, x.size(0), 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n)
      cpu::multiply_row(inputs + n * channels, values, beta, channels, outputs + n * channels);
  });
}

// Threads share the channels, so that every channel adds its rows in order.
void dot_columns(Context& context, const Tensor& a, const Tensor& b, Tensor& total) {
  check_devices("dot_columns", context, {{"a", &a}, {"b", &b}, {"total", &total}});
  check_rank("dot_columns", "a", a, 2);
  const DataType type = activation_type("dot_columns", context, "a", a);
  check_shape("dot_columns", "b", b, {a.size(0), a.size(1)}, type);
  check_shape("dot_columns", "total", total, {a.size(1)});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::dot_columns(context, a, b, total);
  }
  const float *left = a.data<float>(), *right = b.data<float>();
  float* totals = total.data<float>();
  const std::int64_t rows = a.size(0), channels = a.size(1);
  parallel_for(context, channels, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < rows; ++n)
      cpu::add_products(left + n * channels + begin, right + n * channels + begin, end - begin, totals + begin);
  });
}

void activation_forward(Context& context, Activation activation, const Tensor& x, Tensor& y) {
  check_devices("activation_forward", context, {{"x", &x}, {"y", &y}});
  check_count("activation_forward", "x", x, y.count(), activation_type("activation_forward", context, "y", y));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::activation_forward(context, activation, x, y);
  }
  const auto loop = activation == Activation::kSilu ? cpu::silu_forward : cpu::gelu_forward;
  const float* inputs = x.data<float>();
  float* outputs = y.data<float>();
  parallel_for(context, y.count(), kGrainElements,
               [&](std::int64_t begin, std::int64_t end) { loop(inputs + begin, end - begin, outputs + begin); });
}

void activation_backward(Context& context, Activation activation, const Tensor& dy, const Tensor& x, Tensor& dx) {
  check_devices("activation_backward", context, {{"dy", &dy}, {"x", &x}, {"dx", &dx}});
  const DataType type = activation_type("activation_backward", context, "dx", dx);
  check_count("activation_backward", "dy", dy, dx.count(), type);
  check_count("activation_backward", "x", x, dx.count(), type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::activation_backward(context, activation, dy, x, dx);
  }
  const auto loop = activation == Activation::kSilu ? cpu::silu_backward : cpu::gelu_backward;
  const float *gradients = dy.data<float>(), *inputs = x.data<float>();
  float* outputs = dx.data<float>();
  parallel_for(context, dx.count(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    loop(gradients + begin, inputs + begin, end - begin, outputs + begin);
  });
}

void gather_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  check_devices("gather_rows", context, {{"x", &x}, {"rows", &rows}, {"y", &y}});
  check_rank("gather_rows", "x", x, 2);
  check_rank("gather_rows", "y", y, 2);
  check_shape("gather_rows", "y", y, {y.size(0), x.size(1)}, activation_type("gather_rows", context, "x", x));
  check_rows("gather_rows", context, rows, y.size(0), x.size(0));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::gather_rows(context, x, rows, y);
  }
  const std::int64_t channels = x.size(1);
  for (std::int64_t m = 0; m < y.size(0); ++m) {
    std::copy_n(x.data<float>() + rows.data<std::int32_t>()[m] * channels, channels, y.data<float>() + m * channels);
  }
}

void scatter_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  check_scatter("scatter_rows", context, x, rows, y);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::scatter_rows(context, x, rows, y);
  }
  const std::int64_t channels = x.size(1);
  for (std::int64_t m = 0; m < x.size(0); ++m) {
    std::copy_n(x.data<float>() + m * channels, channels, y.data<float>() + rows.data<std::int32_t>()[m] * channels);
  }
}

void scatter_add_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  check_scatter("scatter_add_rows", context, x, rows, y);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::scatter_add_rows(context, x, rows, y);
  }
  const std::int64_t channels = x.size(1);
  for (std::int64_t m = 0; m < x.size(0); ++m) {
    cpu::add(x.data<float>() + m * channels, 1.0f, channels, y.data<float>() + rows.data<std::int32_t>()[m] * channels);
  }
}

}  // namespace kernels
