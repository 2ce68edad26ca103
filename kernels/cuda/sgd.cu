#include "kernels/core/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/many_tensors.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256;

struct MovedTensor {
  GlobalView<float> value, momentum;
  GlobalView<const float> gradient;
  std::int64_t count;
  std::int64_t first_piece;
  float rate, decay;
};

__global__ void __launch_bounds__(kThreads)
    sgd_kernel(TensorList<MovedTensor> tensors, float momentum, float gradient_scale) {
  const MovedTensor& tensor = tensors.of_block(blockIdx.x);
  const std::int64_t begin = (static_cast<std::int64_t>(blockIdx.x) - tensor.first_piece) * kPieceElements;
  const std::int64_t end = min(tensor.count, begin + kPieceElements);
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const float value = tensor.value.load(i);
    const float moved =
        momentum * tensor.momentum.load(i) + (tensor.gradient.load(i) * gradient_scale + tensor.decay * value);
    tensor.momentum[i] = moved;
    tensor.value[i] = value - tensor.rate * moved;
  }
}

}  // namespace

void sgd_step(Context& context, std::span<const SgdTensor> tensors, const SgdOptions& options, float gradient_scale) {
  const auto count_of = [&](std::size_t t) { return tensors[t].value->count(); };
  in_groups(tensors.size(), count_of, [&](std::size_t first, std::size_t count, std::int64_t pieces) {
    TensorList<MovedTensor> group{};
    std::int64_t piece = 0;
    for (std::size_t t = first; t < first + count; ++t) {
      const SgdTensor& tensor = tensors[t];
      if (tensor.value->count() == 0) continue;
      group.list[group.count++] = {view_of<float>(*tensor.value),
                                   view_of<float>(*tensor.momentum),
                                   view_of<float>(*tensor.gradient),
                                   tensor.value->count(),
                                   piece,
                                   options.learning_rate * tensor.learning_rate_scale,
                                   tensor.decay ? options.weight_decay : 0.0f};
      piece += divided_up(tensor.value->count(), kPieceElements);
    }
    launch(context.cuda_session(), "sgd_step", sgd_kernel, {dim3(static_cast<unsigned>(pieces)), dim3(kThreads)}, group,
           options.momentum, gradient_scale);
  });
}

}  // namespace kernels::cuda
