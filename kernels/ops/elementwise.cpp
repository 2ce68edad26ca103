#include "kernels/ops/elementwise.h"

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/core/parallel.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/operations.h"

namespace kernels {
namespace {

constexpr std::int64_t kGrainElements = 16384;

void check_rows(const char* operation, const Tensor& rows, std::int64_t count, std::int64_t limit) {
  check_shape(operation, "rows", rows, {count}, DataType::kInt32);
  for (const std::int32_t row : rows.values<std::int32_t>()) {
    if (row >= 0 && row < limit) continue;
    throw_invalid(operation, "row " + std::to_string(row) + " is not one of " + std::to_string(limit));
  }
}

// x [M, C] into rows of y [N, C].
void check_scatter(const char* operation, const Context& context, const Tensor& x, const Tensor& rows,
                   const Tensor& y) {
  check_on_cpu(operation, context);
  check_rank(operation, "x", x, 2);
  check_rank(operation, "y", y, 2);
  check_shape(operation, "x", x, {x.size(0), x.size(1)});
  check_shape(operation, "y", y, {y.size(0), x.size(1)});
  check_rows(operation, rows, x.size(0), y.size(0));
}

}  // namespace

void add(Context& context, const Tensor& x, Tensor& y, float factor) {
  check_on_cpu("add", context);
  check_count("add", "x", x, y.count());
  const float* inputs = x.data<float>();
  float* outputs = y.data<float>();
  parallel_for(context, y.count(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    cpu::add(inputs + begin, factor, end - begin, outputs + begin);
  });
}

void multiply(Context& context, const Tensor& a, const Tensor& b, Tensor& y) {
  check_on_cpu("multiply", context);
  check_count("multiply", "a", a, y.count());
  check_count("multiply", "b", b, y.count());
  const float *left = a.data<float>(), *right = b.data<float>();
  float* outputs = y.data<float>();
  parallel_for(context, y.count(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    cpu::multiply(left + begin, right + begin, end - begin, outputs + begin);
  });
}

void scale(Context& context, Tensor& y, float factor) {
  check_on_cpu("scale", context);
  float* values = y.data<float>();
  parallel_for(context, y.count(), kGrainElements,
               [&](std::int64_t begin, std::int64_t end) { cpu::scale(factor, end - begin, values + begin); });
}

void softcap(Context& context, Tensor& y, float cap) {
  check_on_cpu("softcap", context);
  if (!(cap > 0.0f)) throw_invalid("softcap", "cap " + std::to_string(cap) + " is not above 0");
  float* values = y.data<float>();
  parallel_for(context, y.count(), kGrainElements,
               [&](std::int64_t begin, std::int64_t end) { cpu::softcap_row(values + begin, end - begin, cap); });
}

void add_bias(Context& context, const Tensor& bias, Tensor& y, float factor) {
  check_on_cpu("add_bias", context);
  check_rank("add_bias", "y", y, 2);
  check_shape("add_bias", "y", y, {y.size(0), y.size(1)});
  const DataType type = bias.type() == DataType::kBFloat16 ? DataType::kBFloat16 : DataType::kFloat32;
  check_shape("add_bias", "bias", bias, {y.size(1)}, type);
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
  check_on_cpu("sum_rows", context);
  check_rank("sum_rows", "x", x, 2);
  check_shape("sum_rows", "x", x, {x.size(0), x.size(1)});
  check_shape("sum_rows", "total", total, {x.size(1)});
  const float* inputs = x.data<float>();
  float* totals = total.data<float>();
  const std::int64_t rows = x.size(0), channels = x.size(1);
  parallel_for(context, channels, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < rows; ++n)
      cpu::add(inputs + n * channels + begin, factor, end - begin, totals + begin);
  });
}

void multiply_columns(Context& context, const Tensor& x, const Tensor& factors, Tensor& y, float beta) {
  check_on_cpu("multiply_columns", context);
  check_rank("multiply_columns", "x", x, 2);
  check_shape("multiply_columns", "x", x, {x.size(0), x.size(1)});
  check_shape("multiply_columns", "factors", factors, {x.size(1)});
  check_shape("multiply_columns", "y", y, {x.size(0), x.size(1)});
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
  check_on_cpu("dot_columns", context);
  check_rank("dot_columns", "a", a, 2);
  check_shape("dot_columns", "a", a, {a.size(0), a.size(1)});
  check_shape("dot_columns", "b", b, {a.size(0), a.size(1)});
  check_shape("dot_columns", "total", total, {a.size(1)});
  const float *left = a.data<float>(), *right = b.data<float>();
  float* totals = total.data<float>();
  const std::int64_t rows = a.size(0), channels = a.size(1);
  parallel_for(context, channels, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < rows; ++n)
      cpu::add_products(left + n * channels + begin, right + n * channels + begin, end - begin, totals + begin);
  });
}

void activation_forward(Context& context, Activation activation, const Tensor& x, Tensor& y) {
  check_on_cpu("activation_forward", context);
  check_count("activation_forward", "x", x, y.count());
  const auto loop = activation == Activation::kSilu ? cpu::silu_forward : cpu::gelu_forward;
  const float* inputs = x.data<float>();
  float* outputs = y.data<float>();
  parallel_for(context, y.count(), kGrainElements,
               [&](std::int64_t begin, std::int64_t end) { loop(inputs + begin, end - begin, outputs + begin); });
}

void activation_backward(Context& context, Activation activation, const Tensor& dy, const Tensor& x, Tensor& dx) {
  check_on_cpu("activation_backward", context);
  check_count("activation_backward", "dy", dy, dx.count());
  check_count("activation_backward", "x", x, dx.count());
  const auto loop = activation == Activation::kSilu ? cpu::silu_backward : cpu::gelu_backward;
  const float *gradients = dy.data<float>(), *inputs = x.data<float>();
  float* outputs = dx.data<float>();
  parallel_for(context, dx.count(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    loop(gradients + begin, inputs + begin, end - begin, outputs + begin);
  });
}

void gather_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  check_on_cpu("gather_rows", context);
  check_rank("gather_rows", "x", x, 2);
  check_rank("gather_rows", "y", y, 2);
  check_shape("gather_rows", "x", x, {x.size(0), x.size(1)});
  check_shape("gather_rows", "y", y, {y.size(0), x.size(1)});
  check_rows("gather_rows", rows, y.size(0), x.size(0));
  const std::int64_t channels = x.size(1);
  for (std::int64_t m = 0; m < y.size(0); ++m) {
    std::copy_n(x.data<float>() + rows.data<std::int32_t>()[m] * channels, channels, y.data<float>() + m * channels);
  }
}

void scatter_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  check_scatter("scatter_rows", context, x, rows, y);
  const std::int64_t channels = x.size(1);
  for (std::int64_t m = 0; m < x.size(0); ++m) {
    std::copy_n(x.data<float>() + m * channels, channels, y.data<float>() + rows.data<std::int32_t>()[m] * channels);
  }
}

void scatter_add_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  check_scatter("scatter_add_rows", context, x, rows, y);
  const std::int64_t channels = x.size(1);
  for (std::int64_t m = 0; m < x.size(0); ++m) {
    cpu::add(x.data<float>() + m * channels, 1.0f, channels, y.data<float>() + rows.data<std::int32_t>()[m] * channels);
  }
}

}  // namespace kernels
