// One block: every warp counts the supervised rows of its part, then writes them behind those of the warps before it.
#include "kernels/cuda/supervised_rows.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/reduce.h"
#include "kernels/ops/cross_entropy.h"

namespace kernels::cuda {
namespace {

constexpr int kWarps = 32, kThreads = kWarps * kWarpThreads;

struct Gathered {
  GlobalView<std::int32_t> rows, targets;
  GlobalView<float> weights;
  GlobalView<std::int32_t> count;
};

__global__ void __launch_bounds__(kThreads)
    supervised_rows_kernel(GlobalView<const std::int32_t> targets, GlobalView<const float> row_weights, Gathered to,
                           std::int64_t rows, std::int64_t classes, FaultView faults) {
  SharedMemory shared;
  const SharedArray<int> counts = shared.array<int>(kWarps);
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads, lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const std::int64_t part = divided_up(divided_up(rows, kWarps), kWarpThreads) * kWarpThreads;
  const std::int64_t begin = warp * part, end = min(rows, begin + part);
  int counted = 0;
  for (std::int64_t first = begin; first < end; first += kWarpThreads) {
    const std::int32_t target = first + lane < end ? targets.load(first + lane) : kIgnoredTarget;
    const bool known = target >= 0 && target < classes;
    if (!known && target != kIgnoredTarget) note_fault(faults, Fault::kTarget, target, classes);
    counted += __popc(__ballot_sync(kAllLanes, known));
  }
  if (lane == 0) counts[warp] = counted;
  __syncthreads();
  int place = 0, all = 0;
  for (int w = 0; w < kWarps; ++w) {
    const int of_warp = counts.load(w);
    place += w < warp ? of_warp : 0;
    all += of_warp;
  }
  if (threadIdx.x == 0) to.count[0] = all;
  for (std::int64_t first = begin; first < end; first += kWarpThreads) {
    const std::int64_t row = first + lane;
    const std::int32_t target = row < end ? targets.load(row) : kIgnoredTarget;
    const bool known = target >= 0 && target < classes;
    const unsigned mask = __ballot_sync(kAllLanes, known);
    const int own = place + __popc(mask & ((1u << lane) - 1u));
    place += __popc(mask);
    if (!known) continue;
    to.rows[own] = static_cast<std::int32_t>(row);
    to.targets[own] = target;
    to.weights[own] = row_weights.has_value() ? row_weights.load(row) : 1.0f;
  }
}

}  // namespace

SupervisedRows supervised_rows(Context& context, ScratchFrame& frame, const Tensor& targets, const Tensor* row_weights,
                               std::int64_t classes) {
  const std::int64_t rows = targets.count();
  const auto count = static_cast<std::size_t>(rows);
  SupervisedRows made;
  made.rows = Tensor::wrap(frame.take<std::int32_t>(count), {rows}, DataType::kInt32, context);
  made.targets = Tensor::wrap(frame.take<std::int32_t>(count), {rows}, DataType::kInt32, context);
  made.weights = GlobalView<float>(frame.floats(rows), rows);
  if (rows == 0) return made;
  auto* counted = frame.take<std::int32_t>(1);
  Session& session = context.cuda_session();
  launch(session, "supervised_rows", supervised_rows_kernel,
         {dim3(1), dim3(kThreads), SharedPlan().array<int>(kWarps).bytes()}, view_of<std::int32_t>(targets),
         view_of<float>(row_weights),
         Gathered{view_of<std::int32_t>(made.rows), view_of<std::int32_t>(made.targets), made.weights,
                  GlobalView<std::int32_t>(counted, 1)},
         rows, classes, session.faults());
  std::int32_t found = 0;
  context.memory()->copy(&found, counted, sizeof found, CopyDirection::kToHost);
  made.count = found;
  return made;
}

}  // namespace kernels::cuda
