#include <cmath>

#include "kernels/core/context.h"
#include "kernels/cuda/cross_entropy_logits.h"
#include "kernels/cuda/cross_entropy_rows.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/reduce.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = kLogitThreads;

template <int N, typename T>
__device__ void fill_row(const GlobalView<T>& gradient, std::int64_t start, std::int64_t classes) {
  const float nothing[N] = {};
  for (std::int64_t c = threadIdx.x * N; c < classes; c += kThreads * N) store_floats(gradient, start + c, nothing);
}

template <int N, typename T>
__global__ void __launch_bounds__(kThreads)
    cross_entropy_kernel(GlobalView<const T> logits, GlobalView<T> gradient, CrossEntropyRows rows, FaultView faults) {
  SharedMemory shared;
  const SharedArray<float> scratch = shared.array<float>(kWarpThreads);
  const std::int64_t n = blockIdx.x, start = n * rows.classes;
  const std::int32_t target = rows.targets.load(n);
  const bool known = target >= 0 && target < rows.classes;
  if (!known) {
    if (gradient.has_value()) fill_row<N>(gradient, start, rows.classes);
    if (threadIdx.x != 0) return;
    if (target != kIgnoredTarget) note_fault(faults, Fault::kTarget, target, rows.classes);
    if (rows.losses.has_value()) rows.losses[n] = 0.0f;
    if (rows.log_probabilities.has_value()) rows.log_probabilities[n] = 0.0f;
    if (rows.weights.has_value()) rows.weights[n] = -INFINITY;
    return;
  }
  const float weight = (rows.row_weights.has_value() ? rows.row_weights.load(n) : 1.0f) *
                       (rows.class_weights.has_value() ? rows.class_weights.load(target) : 1.0f);
  const LogitMap map{rows.logit_scale, rows.softcap};
  const MaximumAndSum of_row = softmax_statistics<N>(logits, start, rows.classes, map, scratch);
  const float log_sum = of_row.maximum + logf(of_row.sum);
  if (threadIdx.x == 0) {
    const float log_probability = map(widen(logits.load(start + target))).value - log_sum;
    if (rows.losses.has_value()) rows.losses[n] = -weight * log_probability;
    if (rows.log_probabilities.has_value()) rows.log_probabilities[n] = log_probability;
    if (rows.weights.has_value()) rows.weights[n] = weight;
  }
  if (!gradient.has_value()) return;
  __syncthreads();  // the target's logit was read before the gradient takes its place
  const float factor = rows.scale * weight;
  for (std::int64_t c = threadIdx.x * N; c < rows.classes; c += kThreads * N) {
    float values[N];
    load_floats(logits, start + c, values);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const Logit logit = map(values[k]);
      const float probability = expf(logit.value - log_sum);
      values[k] = factor * logit.slope * (c + k == target ? probability - 1.0f : probability);
    }
    store_floats(gradient, start + c, values);
  }
}

// [0] the losses, [1] the weights, [2] the number of rows that counted.
__global__ void __launch_bounds__(kThreads)
    sum_losses_kernel(GlobalView<const float> losses, GlobalView<const float> weights, GlobalView<double> sums,
                      std::int64_t rows) {
  SharedMemory shared;
  const SharedArray<double> scratch = shared.array<double>(kWarpThreads);
  double loss = 0.0, weight = 0.0, count = 0.0;
  for (std::int64_t n = threadIdx.x; n < rows; n += kThreads) {
    const float own = weights.load(n);
    if (own == -INFINITY) continue;
    loss += static_cast<double>(losses.load(n));
    weight += static_cast<double>(own);
    count += 1.0;
  }
  loss = block_sum(loss, scratch);
  weight = block_sum(weight, scratch);
  count = block_sum(count, scratch);
  if (threadIdx.x != 0) return;
  sums[0] = loss;
  sums[1] = weight;
  sums[2] = count;
}

}  // namespace

void cross_entropy_rows(Context& context, const char* operation, const Tensor& logits, const CrossEntropyRows& rows,
                        Tensor* gradient) {
  const void* written = gradient == nullptr ? nullptr : gradient->raw_data();
  with_float_type(logits.type(), [&](auto element) {
    using T = decltype(element);
    with_vector_width<T>(rows.classes, {logits.raw_data(), written}, [&](auto width) {
      Session& session = context.cuda_session();
      launch(session, operation, cross_entropy_kernel<decltype(width)::value, T>,
             {dim3(static_cast<unsigned>(rows.rows)), dim3(kThreads), SharedPlan().array<float>(kWarpThreads).bytes()},
             view_of<T>(logits), view_of<T>(gradient), rows, session.faults());
    });
  });
}

LossSums sum_losses(Context& context, const GlobalView<float>& losses, const GlobalView<float>& weights,
                    std::int64_t rows) {
  ScratchFrame frame(context);
  double* place = frame.take<double>(3);
  launch(context.cuda_session(), "sum_losses", sum_losses_kernel,
         {dim3(1), dim3(kThreads), SharedPlan().array<double>(kWarpThreads).bytes()}, losses, weights,
         GlobalView<double>(place, 3), rows);
  double sums[3] = {};
  context.memory()->copy(sums, place, sizeof sums, CopyDirection::kToHost);
  context.synchronise();  // a target out of range is thrown here
  return {sums[0], sums[1], static_cast<std::int64_t>(sums[2])};
}

LossSum softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                              const Tensor* class_weights, const Tensor* row_weights, float scale, Tensor* dlogits) {
  ScratchFrame frame(context);
  CrossEntropyRows rows;
  rows.rows = logits.size(0);
  rows.classes = logits.size(1);
  if (rows.rows == 0) return {};
  rows.targets = view_of<std::int32_t>(targets);
  rows.class_weights = view_of<float>(class_weights);
  rows.row_weights = view_of<float>(row_weights);
  rows.scale = scale;
  rows.losses = GlobalView<float>(frame.floats(rows.rows), rows.rows);
  rows.weights = GlobalView<float>(frame.floats(rows.rows), rows.rows);
  cross_entropy_rows(context, "softmax_cross_entropy", logits, rows, dlogits);
  const LossSums sums = sum_losses(context, rows.losses, rows.weights, rows.rows);
  return {sums.loss, sums.weight, sums.count};
}

}  // namespace kernels::cuda
