#include <cmath>

#include "kernels/core/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/many_tensors.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/reduce.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256;

struct Factors {
  float gradient_scale, beta1, beta2, rate1, rate2;  // rate = 1 - beta
  float step_size;                                   // 1 / (1 - beta1^t)
  float root_correction;                             // 1 / sqrt(1 - beta2^t)
  float epsilon;
};

struct TrainedTensor {
  GlobalView<float> value, first_moment, second_moment;
  GlobalView<const float> gradient;
  std::int64_t count;
  std::int64_t first_piece;  // in this launch
  float learning_rate, decay;
};

using TrainedTensors = TensorList<TrainedTensor>;

// min(1, maximum / (norm + 1e-6)) as clip_factor(); 1 where there is nothing to clip.
__device__ float clip(float norm, float maximum) {
  return maximum > 0.0f ? fminf(1.0f, maximum / (norm + 1e-6f)) : 1.0f;
}

__global__ void __launch_bounds__(kThreads)
    adamw_kernel(TrainedTensors tensors, Factors factors, GlobalView<const float> norm, float maximum_norm) {
  const TrainedTensor& tensor = tensors.of_block(blockIdx.x);
  float scale = factors.gradient_scale;
  if (norm.has_value()) {
    const float length = norm.load(0);
    if (!isfinite(length)) return;  // the step is skipped
    scale *= clip(length, maximum_norm);
  }
  const std::int64_t begin = (static_cast<std::int64_t>(blockIdx.x) - tensor.first_piece) * kPieceElements;
  const std::int64_t end = min(tensor.count, begin + kPieceElements);
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const float g = tensor.gradient.load(i) * scale;
    const float first = factors.beta1 * tensor.first_moment.load(i) + factors.rate1 * g;
    const float second = factors.beta2 * tensor.second_moment.load(i) + factors.rate2 * g * g;
    const float denominator = sqrtf(second) * factors.root_correction + factors.epsilon;
    const float value = tensor.value.load(i);
    tensor.first_moment[i] = first;
    tensor.second_moment[i] = second;
    tensor.value[i] = value - (tensor.learning_rate * factors.step_size * first / denominator + tensor.decay * value);
  }
}

struct SummedTensor {
  GlobalView<const float> values;
  std::int64_t count;
  std::int64_t first_piece;
};
using SummedTensors = TensorList<SummedTensor>;

// partial[first + block] = the sum of squares of the block's piece.
__global__ void __launch_bounds__(kThreads)
    squares_kernel(SummedTensors tensors, GlobalView<double> partial, std::int64_t first) {
  SharedMemory shared;
  const SharedArray<double> scratch = shared.array<double>(kWarpThreads);
  const SummedTensor& tensor = tensors.of_block(blockIdx.x);
  const std::int64_t begin = (static_cast<std::int64_t>(blockIdx.x) - tensor.first_piece) * kPieceElements;
  const std::int64_t end = min(tensor.count, begin + kPieceElements);
  double total = 0.0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const double value = static_cast<double>(tensor.values.load(i));
    total += value * value;
  }
  total = block_sum(total, scratch);
  if (threadIdx.x == 0) partial[first + blockIdx.x] = total;
}

// norm = sqrt(sum of partial), by one block; in float32 too where that is wanted, and skipped += 1 if it is not finite.
__global__ void __launch_bounds__(kThreads) norm_kernel(GlobalView<const double> partial, std::int64_t count,
                                                        GlobalView<double> norm, GlobalView<float> narrow_norm) {
  SharedMemory shared;
  const SharedArray<double> scratch = shared.array<double>(kWarpThreads);
  double total = 0.0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) total += partial.load(i);
  total = block_sum(total, scratch);
  if (threadIdx.x != 0) return;
  if (norm.has_value()) norm[0] = sqrt(total);
  if (narrow_norm.has_value()) narrow_norm[0] = static_cast<float>(sqrt(total));
}

__global__ void count_skipped_kernel(GlobalView<const float> norm, GlobalView<std::int32_t> skipped) {
  if (!isfinite(norm.load(0))) skipped[0] += 1;
}

void step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
          float gradient_scale, const Tensor* norm, float maximum_norm) {
  const double power1 = std::pow(static_cast<double>(options.beta1), static_cast<double>(step));
  const double power2 = std::pow(static_cast<double>(options.beta2), static_cast<double>(step));
  const Factors factors{gradient_scale,
                        options.beta1,
                        options.beta2,
                        1.0f - options.beta1,
                        1.0f - options.beta2,
                        static_cast<float>(1.0 / (1.0 - power1)),
                        static_cast<float>(1.0 / std::sqrt(1.0 - power2)),
                        options.epsilon};
  const auto count_of = [&](std::size_t t) { return tensors[t].value->count(); };
  in_groups(tensors.size(), count_of, [&](std::size_t first, std::size_t count, std::int64_t pieces) {
    TrainedTensors group{};
    std::int64_t piece = 0;
    for (std::size_t t = first; t < first + count; ++t) {
      const AdamWTensor& tensor = tensors[t];
      if (tensor.value->count() == 0) continue;
      const float rate = options.learning_rate * tensor.learning_rate_scale;
      group.list[group.count++] = {view_of<float>(*tensor.value),
                                   view_of<float>(*tensor.first_moment),
                                   view_of<float>(*tensor.second_moment),
                                   view_of<float>(*tensor.gradient),
                                   tensor.value->count(),
                                   piece,
                                   rate,
                                   tensor.decay ? rate * options.weight_decay : 0.0f};
      piece += divided_up(tensor.value->count(), kPieceElements);
    }
    launch(context.cuda_session(), "adamw_step", adamw_kernel, {dim3(static_cast<unsigned>(pieces)), dim3(kThreads)},
           group, factors, view_of<float>(norm), maximum_norm);
  });
}

// The sum of squares of all tensors; its root goes to `norm` or `narrow_norm`.
void sum_squares(Context& context, std::span<const Tensor* const> tensors, const GlobalView<double>& norm,
                 const GlobalView<float>& narrow_norm) {
  const auto count_of = [&](std::size_t t) { return tensors[t]->count(); };
  std::int64_t all_pieces = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) all_pieces += divided_up(count_of(t), kPieceElements);
  ScratchFrame frame(context);
  const GlobalView<double> partial(frame.take<double>(static_cast<std::size_t>(all_pieces)), all_pieces);
  const std::size_t shared = SharedPlan().array<double>(kWarpThreads).bytes();
  std::int64_t done = 0;
  in_groups(tensors.size(), count_of, [&](std::size_t first, std::size_t count, std::int64_t pieces) {
    SummedTensors group{};
    std::int64_t piece = 0;
    for (std::size_t t = first; t < first + count; ++t) {
      if (count_of(t) == 0) continue;
      group.list[group.count++] = {view_of<float>(*tensors[t]), count_of(t), piece};
      piece += divided_up(count_of(t), kPieceElements);
    }
    launch(context.cuda_session(), "global_norm", squares_kernel,
           {dim3(static_cast<unsigned>(pieces)), dim3(kThreads), shared}, group, partial, done);
    done += pieces;
  });
  launch(context.cuda_session(), "global_norm (sum)", norm_kernel, {dim3(1), dim3(kThreads), shared}, partial,
         all_pieces, norm, narrow_norm);
}

}  // namespace

void adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options,
                std::int64_t step_number, float gradient_scale) {
  step(context, tensors, options, step_number, gradient_scale, nullptr, 0.0f);
}

void clipped_adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options,
                        std::int64_t step_number, const Tensor& norm, float maximum_norm, Tensor& skipped) {
  step(context, tensors, options, step_number, 1.0f, &norm, maximum_norm);
  launch(context.cuda_session(), "adamw_step (skipped)", count_skipped_kernel, {dim3(1), dim3(1)}, view_of<float>(norm),
         view_of<std::int32_t>(skipped));
}

double global_norm(Context& context, std::span<const Tensor* const> tensors) {
  ScratchFrame frame(context);
  double* place = frame.take<double>(1);
  sum_squares(context, tensors, GlobalView<double>(place, 1), {});
  double norm = 0.0;
  context.memory()->copy(&norm, place, sizeof norm, CopyDirection::kToHost);
  return norm;
}

void global_norm(Context& context, std::span<const Tensor* const> tensors, Tensor& norm) {
  sum_squares(context, tensors, {}, view_of<float>(norm));
}

}  // namespace kernels::cuda
