#include "kernels/ops/head_losses.h"

#include <cmath>

#include "kernels/core/error.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

struct Slope {
  double loss, slope;
};

// Adds up `of(row, column)` over all values with a target. Small tensors: one thread.
template <typename Target, typename Of>
LossSum sum_over(const Tensor& y, const Tensor* row_weights, float scale, Tensor* dy, const Target& target_of,
                 const Of& of) {
  const std::int64_t columns = y.size(1);
  LossSum sum;
  for (std::int64_t i = 0; i < y.count(); ++i) {
    const std::int64_t row = i / columns, column = i % columns;
    const auto target = static_cast<double>(target_of(row, column));
    const bool known = !std::isnan(target);
    const double weight = row_weights == nullptr ? 1.0 : static_cast<double>(row_weights->data<float>()[row]);
    const Slope value = known ? of(static_cast<double>(y.data<float>()[i]), target, column) : Slope{0, 0};
    if (dy != nullptr) dy->data<float>()[i] = static_cast<float>(static_cast<double>(scale) * weight * value.slope);
    if (!known) continue;
    sum.loss += weight * value.loss;
    sum.weight += weight;
    ++sum.count;
  }
  return sum;
}

void check(const char* operation, Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights,
           const Tensor* dy) {
  check_devices(operation, context, {{"y", &y}, {"targets", &targets}, {"row_weights", row_weights}, {"dy", dy}});
  check_rank(operation, "y", y, 2);
  const DataType type = activation_type(operation, context, "y", y);
  check_shape(operation, "y", y, {y.size(0), y.size(1)}, type);
  if (row_weights != nullptr) check_shape(operation, "row_weights", *row_weights, {y.size(0)});
  if (dy != nullptr) check_shape(operation, "dy", *dy, {y.size(0), y.size(1)}, type);
}

}  // namespace

LossSum sigmoid_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets, const Tensor* row_weights,
                              float scale, Tensor* dlogits) {
  check("sigmoid_cross_entropy", context, logits, targets, row_weights, dlogits);
  check_shape("sigmoid_cross_entropy", "targets", targets, {logits.size(0), logits.size(1)});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::sigmoid_cross_entropy(context, logits, targets, row_weights, scale, dlogits);
  }
  const float* wanted = targets.data<float>();
  return sum_over(
      logits, row_weights, scale, dlogits,
      [&](std::int64_t row, std::int64_t column) { return wanted[row * logits.size(1) + column]; },
      [](double z, double target, std::int64_t) {
        const double grown = std::max(z, 0.0) + std::log1p(std::exp(-std::fabs(z)));
        return Slope{grown - target * z, 1.0 / (1.0 + std::exp(-z)) - target};
      });
}

LossSum huber_loss(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float delta,
                   float scale, Tensor* dy) {
  check("huber_loss", context, y, targets, row_weights, dy);
  check_shape("huber_loss", "targets", targets, {y.size(0), y.size(1)});
  if (!(delta > 0)) throw_invalid("huber_loss", "delta must be positive, not " + std::to_string(delta));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::huber_loss(context, y, targets, row_weights, delta, scale, dy);
  }
  const float* wanted = targets.data<float>();
  const auto border = static_cast<double>(delta);
  return sum_over(
      y, row_weights, scale, dy,
      [&](std::int64_t row, std::int64_t column) { return wanted[row * y.size(1) + column]; },
      [&](double value, double target, std::int64_t) {
        const double d = value - target;
        if (std::fabs(d) <= border) return Slope{0.5 * d * d, d};
        return Slope{border * (std::fabs(d) - 0.5 * border), std::copysign(border, d)};
      });
}

LossSum pinball_loss(Context& context, const Tensor& y, const Tensor& targets, std::span<const double> quantiles,
                     const Tensor* row_weights, float scale, Tensor* dy) {
  check("pinball_loss", context, y, targets, row_weights, dy);
  check_shape("pinball_loss", "targets", targets, {y.size(0)});
  if (static_cast<std::int64_t>(quantiles.size()) != y.size(1)) {
    throw_invalid("pinball_loss",
                  std::to_string(y.size(1)) + " values a row for " + std::to_string(quantiles.size()) + " quantiles");
  }
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::pinball_loss(context, y, targets, quantiles, row_weights, scale, dy);
  }
  const float* wanted = targets.data<float>();
  return sum_over(
      y, row_weights, scale, dy, [&](std::int64_t row, std::int64_t) { return wanted[row]; },
      [&](double value, double target, std::int64_t column) {
        const double q = quantiles[static_cast<std::size_t>(column)], d = target - value;
        return d >= 0 ? Slope{q * d, -q} : Slope{(q - 1) * d, 1 - q};
      });
}

}  // namespace kernels
