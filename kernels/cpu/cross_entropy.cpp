// The language-model head and its loss in chunks of rows: logits, softmax and gradient of a chunk share one buffer.
#include <algorithm>
#include <vector>

#include "kernels/core/parallel.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

// Logits held at a time: enough rows to keep the products efficient, at most this many elements beyond the smallest
// chunk.
constexpr std::int64_t kChunkElements = std::int64_t{1} << 21;
constexpr std::int64_t kSmallestChunk = 128;

// Everything about one call that its chunks share.
struct Call {
  Context& context;
  const Tensor& hidden;
  const PackedWeight& head;
  const std::int32_t* targets;
  const float* row_weights;
  const LinearCrossEntropyOptions& options;
  Tensor* dhidden;
  Tensor* dweight;
  float* log_probabilities;
  const TeacherProbabilities* teacher = nullptr;
  DistillationOptions distillation = {};
};

std::vector<std::int64_t> supervised_rows(const std::int32_t* targets, std::int64_t count) {
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(count));
  for (std::int64_t n = 0; n < count; ++n) {
    if (targets[n] != kIgnoredTarget) rows.push_back(n);
  }
  return rows;
}

float weight_of(const Call& call, std::int64_t row) {
  return call.row_weights == nullptr ? 1.0f : call.row_weights[row];
}

ANNEAL_SIMD void scale_row(float* values, std::int64_t count, float factor) {
  for (std::int64_t i = 0; i < count; ++i) values[i] *= factor;
}

double loss_of_row(const Call& call, std::int64_t row, const LossRow& logits) {
  if (call.teacher == nullptr) return cross_entropy_row(logits);
  const auto begin = static_cast<std::size_t>(call.teacher->borders[static_cast<std::size_t>(row)]);
  const auto count = static_cast<std::size_t>(call.teacher->borders[static_cast<std::size_t>(row) + 1]) - begin;
  if (count == 0 || call.distillation.ratio == 0.0f) return cross_entropy_row(logits);
  return distillation_row(
      logits, {call.teacher->tokens.subspan(begin, count), call.teacher->log_probabilities.subspan(begin, count),
               static_cast<double>(call.distillation.ratio), static_cast<double>(call.distillation.temperature)});
}

// -log p of every row of the chunk; logits become their gradient when one is wanted.
void losses_of_chunk(const Call& call, std::span<const std::int64_t> rows, float* logits, double* losses) {
  const std::int64_t vocabulary = call.head.out_features();
  const bool wants_gradient = call.dhidden != nullptr || call.dweight != nullptr;
  parallel_for(call.context, static_cast<std::int64_t>(rows.size()), 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = rows[static_cast<std::size_t>(i)];
      float* values = logits + i * vocabulary;
      if (call.options.logit_scale != 1.0f) scale_row(values, vocabulary, call.options.logit_scale);
      if (call.options.logit_softcap > 0.0f) softcap_row(values, vocabulary, call.options.logit_softcap);
      const float factor = call.options.scale * call.options.logit_scale * weight_of(call, row);
      losses[i] = loss_of_row(call, row,
                              {values, vocabulary, call.targets[row], factor, wants_gradient ? values : nullptr,
                               call.options.logit_softcap});
    }
  });
}

// Copies the rows of the chunk together, unless they already are neighbours.
Tensor chunk_inputs(const Call& call, ScratchFrame& frame, std::span<const std::int64_t> rows) {
  const std::int64_t channels = call.hidden.size(1), count = static_cast<std::int64_t>(rows.size());
  if (rows.back() - rows.front() + 1 == count) return call.hidden.slice_rows(rows.front(), rows.back() + 1);
  float* inputs = frame.floats(count * channels);
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy_n(call.hidden.data<float>() + rows[static_cast<std::size_t>(i)] * channels, channels,
                inputs + i * channels);
  }
  return Tensor::wrap(inputs, {count, channels});
}

void input_gradient_of_chunk(const Call& call, ScratchFrame& frame, std::span<const std::int64_t> rows,
                             const Tensor& dlogits) {
  const std::int64_t channels = call.hidden.size(1), count = static_cast<std::int64_t>(rows.size());
  if (rows.back() - rows.front() + 1 == count) {
    Tensor place = call.dhidden->slice_rows(rows.front(), rows.back() + 1);
    return cpu::linear_backward_input(call.context, dlogits, call.head, place, 0.0f);
  }
  Tensor together = Tensor::wrap(frame.floats(count * channels), {count, channels});
  cpu::linear_backward_input(call.context, dlogits, call.head, together, 0.0f);
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy_n(together.data<float>() + i * channels, channels,
                call.dhidden->data<float>() + rows[static_cast<std::size_t>(i)] * channels);
  }
}

void run_chunk(const Call& call, std::span<const std::int64_t> rows, LossSum& sum) {
  const std::int64_t vocabulary = call.head.out_features(), channels = call.hidden.size(1);
  const auto count = static_cast<std::int64_t>(rows.size());
  ScratchFrame frame(call.context);
  const Tensor inputs = chunk_inputs(call, frame, rows);
  Tensor logits = Tensor::wrap(frame.floats(count * vocabulary), {count, vocabulary});
  cpu::linear(call.context, inputs, call.head, logits, 0.0f);
  double* losses = frame.take<double>(rows.size());
  losses_of_chunk(call, rows, logits.data<float>(), losses);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double weight = static_cast<double>(weight_of(call, rows[i]));
    sum.loss += weight * losses[i];
    sum.weight += weight;
    if (call.log_probabilities != nullptr) call.log_probabilities[rows[i]] = static_cast<float>(-losses[i]);
  }
  sum.count += count;
  if (call.dhidden != nullptr) input_gradient_of_chunk(call, frame, rows, logits);
  if (call.dweight == nullptr) return;
  cpu::gemm(call.context, true, false, vocabulary, channels, count, 1.0f, logits.data<float>(), vocabulary,
            inputs.data<float>(), channels, 1.0f, call.dweight->data<float>(), channels);
}

LossSum run(const Call& call, const Tensor& targets, Tensor* log_probabilities) {
  const std::vector<std::int64_t> rows = supervised_rows(call.targets, targets.count());
  const bool every_row = static_cast<std::int64_t>(rows.size()) == targets.count();
  if (call.dhidden != nullptr && !every_row) call.dhidden->fill_zero();
  if (log_probabilities != nullptr && !every_row) log_probabilities->fill_zero();
  const std::int64_t vocabulary = std::max<std::int64_t>(1, call.head.out_features());
  const auto chunk = static_cast<std::size_t>(
      call.options.chunk_rows > 0 ? call.options.chunk_rows : std::max(kSmallestChunk, kChunkElements / vocabulary));
  LossSum sum;
  for (std::size_t begin = 0; begin < rows.size(); begin += chunk) {
    run_chunk(call, std::span(rows).subspan(begin, std::min(chunk, rows.size() - begin)), sum);
  }
  return sum;
}

}  // namespace

LossSum linear_cross_entropy(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const Tensor* row_weights, const LinearCrossEntropyOptions& options, Tensor* dhidden,
                             Tensor* dweight, Tensor* log_probabilities) {
  const Call call{context,
                  hidden,
                  head,
                  targets.data<std::int32_t>(),
                  row_weights == nullptr ? nullptr : row_weights->data<float>(),
                  options,
                  dhidden,
                  dweight,
                  log_probabilities == nullptr ? nullptr : log_probabilities->data<float>()};
  return run(call, targets, log_probabilities);
}

LossSum linear_distillation(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                            const Tensor* row_weights, const TeacherProbabilities& teacher,
                            const DistillationOptions& distillation, const LinearCrossEntropyOptions& options,
                            Tensor* dhidden, Tensor* dweight) {
  const Call call{context,
                  hidden,
                  head,
                  targets.data<std::int32_t>(),
                  row_weights == nullptr ? nullptr : row_weights->data<float>(),
                  options,
                  dhidden,
                  dweight,
                  nullptr,
                  &teacher,
                  distillation};
  return run(call, targets, nullptr);
}

}  // namespace kernels::cpu
