// Losses of heads over values, in double as on the CPU: heads are small. A block sums its piece, one block the pieces.
#include <algorithm>
#include <cmath>

#include "kernels/core/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/reduce.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kPiece = 1024;

struct LossAndSlope {
  double loss, slope;
};

struct SquaredError {
  __device__ LossAndSlope operator()(double y, double target, std::int64_t) const {
    const double d = y - target;
    return {0.5 * d * d, d};
  }
};
struct SigmoidCrossEntropy {
  __device__ LossAndSlope operator()(double z, double target, std::int64_t) const {
    const double grown = fmax(z, 0.0) + log1p(exp(-fabs(z)));
    return {grown - target * z, 1.0 / (1.0 + exp(-z)) - target};
  }
};
struct Huber {
  double border;
  __device__ LossAndSlope operator()(double y, double target, std::int64_t) const {
    const double d = y - target;
    if (fabs(d) <= border) return {0.5 * d * d, d};
    return {border * (fabs(d) - 0.5 * border), d > 0.0 ? border : -border};
  }
};
struct Pinball {
  GlobalView<const double> quantiles;
  __device__ LossAndSlope operator()(double y, double target, std::int64_t column) const {
    const double q = quantiles.load(column), d = target - y;
    return d >= 0.0 ? LossAndSlope{q * d, -q} : LossAndSlope{(q - 1.0) * d, 1.0 - q};
  }
};

template <typename T>
struct Values {
  GlobalView<const T> y;
  GlobalView<T> dy;  // or absent; may be y
  GlobalView<const float> targets, row_weights;
  std::int64_t count, columns;
  std::int64_t target_columns;  // 1 where all values of a row have one target
  double scale;
};

struct Sums {
  double loss, weight, count;
};

__device__ Sums block_sums(const Sums& own, const SharedArray<double>& scratch) {
  return {block_sum(own.loss, scratch), block_sum(own.weight, scratch), block_sum(own.count, scratch)};
}

template <typename T, typename Of>
__global__ void __launch_bounds__(kThreads) value_loss_kernel(Values<T> values, Of of, GlobalView<double> partial) {
  SharedMemory shared;
  const SharedArray<double> scratch = shared.array<double>(kWarpThreads);
  const std::int64_t begin = blockIdx.x * kPiece, end = min(values.count, begin + kPiece);
  Sums sums{};
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const std::int64_t row = i / values.columns, column = i % values.columns;
    const auto target = static_cast<double>(values.targets.load(values.target_columns == 1 ? row : i));
    const auto y = static_cast<double>(widen(values.y.load(i)));
    const bool known = !isnan(target);
    const double weight = values.row_weights.has_value() ? static_cast<double>(values.row_weights.load(row)) : 1.0;
    const LossAndSlope value = known ? of(y, target, column) : LossAndSlope{0.0, 0.0};
    if (values.dy.has_value()) values.dy.store(i, narrow<T>(static_cast<float>(values.scale * weight * value.slope)));
    if (!known) continue;
    sums.loss += weight * value.loss;
    sums.weight += weight;
    sums.count += 1.0;
  }
  sums = block_sums(sums, scratch);
  if (threadIdx.x != 0) return;
  partial[blockIdx.x * 3] = sums.loss;
  partial[blockIdx.x * 3 + 1] = sums.weight;
  partial[blockIdx.x * 3 + 2] = sums.count;
}

__global__ void __launch_bounds__(kThreads)
    add_value_losses_kernel(GlobalView<const double> partial, GlobalView<double> result, std::int64_t pieces) {
  SharedMemory shared;
  const SharedArray<double> scratch = shared.array<double>(kWarpThreads);
  Sums sums{};
  for (std::int64_t i = threadIdx.x; i < pieces; i += kThreads) {
    sums.loss += partial.load(3 * i);
    sums.weight += partial.load(3 * i + 1);
    sums.count += partial.load(3 * i + 2);
  }
  sums = block_sums(sums, scratch);
  if (threadIdx.x != 0) return;
  result[0] = sums.loss;
  result[1] = sums.weight;
  result[2] = sums.count;
}

template <typename Of>
LossSum sum_over(Context& context, const char* name, const Tensor& y, const Tensor& targets, const Tensor* row_weights,
                 float scale, Tensor* dy, const Of& of) {
  if (y.count() == 0) return {};
  ScratchFrame frame(context);
  const std::int64_t pieces = divided_up(y.count(), kPiece);
  const GlobalView<double> partial(frame.take<double>(static_cast<std::size_t>(3 * pieces)), 3 * pieces);
  double* place = frame.take<double>(3);
  const std::size_t shared = SharedPlan().array<double>(kWarpThreads).bytes();
  Session& session = context.cuda_session();
  with_float_type(y.type(), [&](auto element) {
    using T = decltype(element);
    const Values<T> values{view_of<T>(y),
                           view_of<T>(dy),
                           view_of<float>(targets),
                           view_of<float>(row_weights),
                           y.count(),
                           y.size(1),
                           targets.rank() == 1 ? 1 : y.size(1),
                           static_cast<double>(scale)};
    launch(session, name, value_loss_kernel<T, Of>, {dim3(static_cast<unsigned>(pieces)), dim3(kThreads), shared},
           values, of, partial);
  });
  launch(session, name, add_value_losses_kernel, {dim3(1), dim3(kThreads), shared}, partial,
         GlobalView<double>(place, 3), pieces);
  double sums[3] = {};
  context.memory()->copy(sums, place, sizeof sums, CopyDirection::kToHost);
  return {sums[0], sums[1], static_cast<std::int64_t>(sums[2])};
}

}  // namespace

LossSum squared_error(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float scale,
                      Tensor* dy) {
  return sum_over(context, "squared_error", y, targets, row_weights, scale, dy, SquaredError{});
}

LossSum sigmoid_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets, const Tensor* row_weights,
                              float scale, Tensor* dlogits) {
  return sum_over(context, "sigmoid_cross_entropy", logits, targets, row_weights, scale, dlogits,
                  SigmoidCrossEntropy{});
}

LossSum huber_loss(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float delta,
                   float scale, Tensor* dy) {
  return sum_over(context, "huber_loss", y, targets, row_weights, scale, dy, Huber{static_cast<double>(delta)});
}

LossSum pinball_loss(Context& context, const Tensor& y, const Tensor& targets, std::span<const double> quantiles,
                     const Tensor* row_weights, float scale, Tensor* dy) {
  ScratchFrame frame(context);
  double* place = frame.take<double>(std::max<std::size_t>(1, quantiles.size()));
  context.memory()->copy(place, quantiles.data(), quantiles.size_bytes(), CopyDirection::kToDevice);
  return sum_over(context, "pinball_loss", y, targets, row_weights, scale, dy,
                  Pinball{GlobalView<double>(place, static_cast<std::int64_t>(quantiles.size()))});
}

}  // namespace kernels::cuda
