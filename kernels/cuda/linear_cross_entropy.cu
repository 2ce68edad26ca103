// The language-model head and its loss in chunks of supervised rows: logits, softmax and gradient of a chunk share one
// buffer. Where no gradient is wanted, logits are float32 whatever the activations are.
#include <algorithm>

#include "kernels/core/context.h"
#include "kernels/cuda/cross_entropy_rows.h"
#include "kernels/cuda/distillation_rows.h"
#include "kernels/cuda/each.h"
#include "kernels/cuda/operand_types.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/supervised_rows.h"

namespace kernels::cuda {
namespace {

// Logits held at a time: 256 MiB in 16 bits.
constexpr std::int64_t kChunkElements = std::int64_t{1} << 27;
constexpr std::int64_t kSmallestChunk = 128;

// Everything about one call that its chunks share.
struct Call {
  Context& context;
  const Tensor& hidden;
  const Tensor& head;  // [V, C] in hidden's type
  const LinearCrossEntropyOptions& options;
  const SupervisedRows& supervised;
  Tensor* dhidden;
  Tensor* dweight;
  GlobalView<float> losses, log_probabilities;  // [supervised]; the second may be absent
  const TeacherView* teacher;                   // null for cross-entropy alone
  DistillationOptions distillation;

  bool wants_gradient() const { return dhidden != nullptr || dweight != nullptr; }
  bool every_row() const { return supervised.count == hidden.size(0); }
};

Tensor scratch(Context& context, ScratchFrame& frame, Shape shape, DataType type) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
  return Tensor::wrap(frame.bytes(count * size_of(type)), std::move(shape), type, context);
}

// Logits become their gradient where one is wanted.
void losses_of_chunk(const Call& call, std::int64_t begin, Tensor& logits) {
  const std::int64_t count = logits.size(0);
  const GlobalView<const std::int32_t> targets = view_of<std::int32_t>(call.supervised.targets);
  const GlobalView<const float> weights(call.supervised.weights);
  if (call.teacher != nullptr) {
    DistillationRows rows;
    rows.rows = count;
    rows.classes = logits.size(1);
    rows.targets = targets.part(begin, count);
    rows.places = view_of<std::int32_t>(call.supervised.rows).part(begin, count);
    rows.weights = weights.part(begin, count);
    rows.teacher = *call.teacher;
    rows.ratio = static_cast<double>(call.distillation.ratio);
    rows.temperature = static_cast<double>(call.distillation.temperature);
    rows.scale = call.options.scale;
    rows.map = {call.options.logit_scale, call.options.logit_softcap};
    rows.losses = call.losses.part(begin, count);
    rows.wants_gradient = call.wants_gradient();
    return distillation_rows(call.context, rows, logits);
  }
  CrossEntropyRows rows;
  rows.rows = count;
  rows.classes = logits.size(1);
  rows.targets = targets.part(begin, count);
  rows.row_weights = weights.part(begin, count);
  rows.scale = call.options.scale;
  rows.logit_scale = call.options.logit_scale;
  rows.softcap = call.options.logit_softcap;
  rows.losses = call.losses.part(begin, count);
  if (call.log_probabilities.has_value()) rows.log_probabilities = call.log_probabilities.part(begin, count);
  cross_entropy_rows(call.context, "linear_cross_entropy", logits, rows, call.wants_gradient() ? &logits : nullptr);
}

void run_chunk(const Call& call, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = call.hidden.size(1), count = end - begin;
  const DataType type = call.hidden.type();
  ScratchFrame frame(call.context);
  const Tensor places = call.supervised.rows.slice_rows(begin, end);
  Tensor inputs;
  if (call.every_row()) {
    inputs = call.hidden.slice_rows(begin, end);
  } else {
    inputs = scratch(call.context, frame, {count, channels}, type);
    cuda::gather_rows(call.context, call.hidden, places, inputs);
  }
  Tensor logits =
      scratch(call.context, frame, {count, call.head.size(0)}, call.wants_gradient() ? type : DataType::kFloat32);
  cuda::matmul(call.context, inputs, call.head, logits, {.transpose_b = true});
  losses_of_chunk(call, begin, logits);
  if (call.dweight != nullptr) cuda::linear_backward_weight(call.context, logits, inputs, *call.dweight, 1.0f);
  if (call.dhidden == nullptr) return;
  if (call.every_row()) {
    Tensor place = call.dhidden->slice_rows(begin, end);
    return cuda::matmul(call.context, logits, call.head, place, {});
  }
  Tensor together = scratch(call.context, frame, {count, channels}, type);
  cuda::matmul(call.context, logits, call.head, together, {});
  cuda::scatter_rows(call.context, together, places, *call.dhidden);
}

struct ScatterValues {
  GlobalView<const float> values;
  GlobalView<const std::int32_t> places;
  GlobalView<float> to;
  __device__ void operator()(std::int64_t i) const { to.store(places.load(i), values.load(i)); }
};

struct Arguments {
  const Tensor& hidden;
  const PackedWeight& head;
  const Tensor& targets;
  const Tensor* row_weights;
  const LinearCrossEntropyOptions& options;
  Tensor* dhidden;
  Tensor* dweight;
  Tensor* log_probabilities;
  const TeacherView* teacher = nullptr;
  DistillationOptions distillation = {};
};

LossSum run(Context& context, const Arguments& in) {
  ScratchFrame frame(context);
  const std::int64_t vocabulary = in.head.out_features();
  const SupervisedRows supervised = supervised_rows(context, frame, in.targets, in.row_weights, vocabulary);
  const bool every_row = supervised.count == in.hidden.size(0);
  if (in.dhidden != nullptr && !every_row) in.dhidden->fill_zero();
  if (in.log_probabilities != nullptr && !every_row) in.log_probabilities->fill_zero();
  if (supervised.count == 0) {
    context.synchronise();  // a target out of range is thrown here
    return {};
  }
  const Tensor head = weight_in_type(context, frame, in.head, in.hidden.type());
  Call call{context,    in.hidden, head, in.options, supervised,     in.dhidden,
            in.dweight, {},        {},   in.teacher, in.distillation};
  call.losses = GlobalView<float>(frame.floats(supervised.count), supervised.count);
  if (in.log_probabilities != nullptr)
    call.log_probabilities = GlobalView<float>(frame.floats(supervised.count), supervised.count);
  const std::int64_t chunk = in.options.chunk_rows > 0
                                 ? in.options.chunk_rows
                                 : std::max(kSmallestChunk, kChunkElements / std::max<std::int64_t>(1, vocabulary));
  for (std::int64_t begin = 0; begin < supervised.count; begin += chunk)
    run_chunk(call, begin, std::min(supervised.count, begin + chunk));
  if (in.log_probabilities != nullptr) {
    launch_each<1>(context.cuda_session(), "token_log_probabilities", supervised.count,
                   ScatterValues{call.log_probabilities, view_of<std::int32_t>(supervised.rows),
                                 view_of<float>(*in.log_probabilities)});
  }
  const LossSums sums = sum_losses(context, call.losses, supervised.weights, supervised.count);
  return {sums.loss, sums.weight, sums.count};
}

template <typename T>
GlobalView<const T> uploaded(Context& context, ScratchFrame& frame, std::span<const T> values) {
  T* place = frame.take<T>(std::max<std::size_t>(1, values.size()));
  if (!values.empty()) context.memory()->copy(place, values.data(), values.size_bytes(), CopyDirection::kToDevice);
  return GlobalView<T>(place, static_cast<std::int64_t>(values.size()));
}

}  // namespace

LossSum linear_cross_entropy(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const Tensor* row_weights, const LinearCrossEntropyOptions& options, Tensor* dhidden,
                             Tensor* dweight, Tensor* log_probabilities) {
  return run(context, {hidden, head, targets, row_weights, options, dhidden, dweight, log_probabilities});
}

LossSum linear_distillation(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                            const Tensor* row_weights, const TeacherProbabilities& teacher,
                            const DistillationOptions& distillation, const LinearCrossEntropyOptions& options,
                            Tensor* dhidden, Tensor* dweight) {
  if (distillation.ratio == 0.0f)
    return cuda::linear_cross_entropy(context, hidden, head, targets, row_weights, options, dhidden, dweight, nullptr);
  ScratchFrame frame(context);
  const auto entries = static_cast<std::int64_t>(teacher.tokens.size());
  const TeacherView view{uploaded(context, frame, teacher.borders), uploaded(context, frame, teacher.tokens),
                         uploaded(context, frame, teacher.log_probabilities),
                         GlobalView<float>(frame.floats(std::max<std::int64_t>(1, entries)), entries)};
  return run(context, {hidden, head, targets, row_weights, options, dhidden, dweight, nullptr, &view, distillation});
}

}  // namespace kernels::cuda
