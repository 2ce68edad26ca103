#include "kernels/ops/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

void check_targets(const char* operation, const Tensor& targets, std::int64_t rows, std::int64_t classes) {
  check_shape(operation, "targets", targets, {rows}, DataType::kInt32);
  if (targets.device().type != DeviceType::kCpu) return;  // its values are checked there
  for (const std::int32_t target : targets.values<std::int32_t>()) {
    if (target == kIgnoredTarget || (target >= 0 && target < classes)) continue;
    throw_invalid(operation,
                  "target " + std::to_string(target) + " is not one of " + std::to_string(classes) + " classes");
  }
}

void check_head(const char* operation, const Context& context, const Tensor& hidden, const PackedWeight& head,
                const Tensor& targets) {
  const QuantisedWeight& quantised = head.quantised();
  check_devices(operation, context,
                {{"hidden", &hidden},
                 {"targets", &targets},
                 {"head", &head.weight()},
                 {"head.codes", &quantised.codes},
                 {"head.scales", &quantised.scales},
                 {"head.scale_codes", &quantised.scale_codes},
                 {"head.nested_scales", &quantised.nested_scales}});
  if (!head.has_value()) throw_invalid(operation, "the head is empty");
  check_rank(operation, "hidden", hidden, 2);
  const DataType type = activation_type(operation, context, "hidden", hidden);
  check_shape(operation, "hidden", hidden, {hidden.size(0), head.in_features()}, type);
  check_targets(operation, targets, hidden.size(0), head.out_features());
}

void check_outputs(const char* operation, const Context& context, const Tensor& hidden, const PackedWeight& head,
                   const Tensor* row_weights, const Tensor* dhidden, const Tensor* dweight) {
  check_devices(operation, context, {{"row_weights", row_weights}, {"dhidden", dhidden}, {"dweight", dweight}});
  if (row_weights != nullptr) check_shape(operation, "row_weights", *row_weights, {hidden.size(0)});
  if (dhidden != nullptr) check_shape(operation, "dhidden", *dhidden, {hidden.size(0), hidden.size(1)}, hidden.type());
  if (dweight != nullptr) check_shape(operation, "dweight", *dweight, {head.out_features(), head.in_features()});
}

void check_row(const char* operation, std::span<const std::int32_t> tokens, std::int64_t classes) {
  std::vector<std::int32_t> sorted(tokens.begin(), tokens.end());
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    throw_invalid(operation, "the teacher names a token twice in a row");
  if (!sorted.empty() && (sorted.front() < 0 || sorted.back() >= classes)) {
    throw_invalid(operation, "the teacher's token " +
                                 std::to_string(sorted.front() < 0 ? sorted.front() : sorted.back()) +
                                 " is not one of " + std::to_string(classes) + " classes");
  }
}

void check_teacher(const char* operation, const TeacherProbabilities& teacher, std::int64_t rows,
                   std::int64_t classes) {
  if (teacher.borders.size() != static_cast<std::size_t>(rows) + 1 || teacher.borders.front() != 0 ||
      !std::is_sorted(teacher.borders.begin(), teacher.borders.end()) ||
      static_cast<std::size_t>(teacher.borders.back()) != teacher.tokens.size() ||
      teacher.tokens.size() != teacher.log_probabilities.size())
    throw_invalid(operation, "the teacher's borders do not fit its entries and the rows");
  for (std::size_t n = 0; n < static_cast<std::size_t>(rows); ++n) {
    const auto begin = static_cast<std::size_t>(teacher.borders[n]);
    check_row(operation, teacher.tokens.subspan(begin, static_cast<std::size_t>(teacher.borders[n + 1]) - begin),
              classes);
  }
  for (const float log : teacher.log_probabilities) {
    if (!(log <= 0.0f))
      throw_invalid(operation, "a log probability of the teacher is " + std::to_string(log) + "; it is at most 0");
  }
}

}  // namespace

LossSum linear_cross_entropy(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const Tensor* row_weights, const LinearCrossEntropyOptions& options, Tensor* dhidden,
                             Tensor* dweight) {
  constexpr const char* kOperation = "linear_cross_entropy";
  check_head(kOperation, context, hidden, head, targets);
  check_outputs(kOperation, context, hidden, head, row_weights, dhidden, dweight);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda())
      return cuda::linear_cross_entropy(context, hidden, head, targets, row_weights, options, dhidden, dweight,
                                        nullptr);
  }
  return cpu::linear_cross_entropy(context, hidden, head, targets, row_weights, options, dhidden, dweight, nullptr);
}

LossSum linear_distillation(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                            const Tensor* row_weights, const TeacherProbabilities& teacher,
                            const DistillationOptions& distillation, const LinearCrossEntropyOptions& options,
                            Tensor* dhidden, Tensor* dweight) {
  constexpr const char* kOperation = "linear_distillation";
  check_head(kOperation, context, hidden, head, targets);
  check_outputs(kOperation, context, hidden, head, row_weights, dhidden, dweight);
  check_teacher(kOperation, teacher, hidden.size(0), head.out_features());
  if (!(distillation.ratio >= 0.0f && distillation.ratio <= 1.0f) || !(distillation.temperature > 0.0f))
    throw_invalid(kOperation, "the ratio lies between 0 and 1, and the temperature above 0");
  if constexpr (kCudaBuilt) {
    if (context.is_cuda())
      return cuda::linear_distillation(context, hidden, head, targets, row_weights, teacher, distillation, options,
                                       dhidden, dweight);
  }
  return cpu::linear_distillation(context, hidden, head, targets, row_weights, teacher, distillation, options, dhidden,
                                  dweight);
}

void token_log_probabilities(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const LinearCrossEntropyOptions& options, Tensor& log_probabilities) {
  constexpr const char* kOperation = "token_log_probabilities";
  check_head(kOperation, context, hidden, head, targets);
  check_devices(kOperation, context, {{"log_probabilities", &log_probabilities}});
  check_shape(kOperation, "log_probabilities", log_probabilities, {hidden.size(0)});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) {
      cuda::linear_cross_entropy(context, hidden, head, targets, nullptr, options, nullptr, nullptr,
                                 &log_probabilities);
      return;
    }
  }
  cpu::linear_cross_entropy(context, hidden, head, targets, nullptr, options, nullptr, nullptr, &log_probabilities);
}

LossSum softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                              const Tensor* class_weights, const Tensor* row_weights, float scale, Tensor* dlogits) {
  constexpr const char* kOperation = "softmax_cross_entropy";
  check_devices(kOperation, context,
                {{"logits", &logits},
                 {"targets", &targets},
                 {"class_weights", class_weights},
                 {"row_weights", row_weights},
                 {"dlogits", dlogits}});
  check_rank(kOperation, "logits", logits, 2);
  const DataType type = activation_type(kOperation, context, "logits", logits);
  const std::int64_t rows = logits.size(0), classes = logits.size(1);
  check_targets(kOperation, targets, rows, classes);
  if (class_weights != nullptr) check_shape(kOperation, "class_weights", *class_weights, {classes});
  if (row_weights != nullptr) check_shape(kOperation, "row_weights", *row_weights, {rows});
  if (dlogits != nullptr) check_shape(kOperation, "dlogits", *dlogits, {rows, classes}, type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda())
      return cuda::softmax_cross_entropy(context, logits, targets, class_weights, row_weights, scale, dlogits);
  }
  float* gradients = dlogits == nullptr ? nullptr : dlogits->data<float>();
  LossSum sum;
  for (std::int64_t n = 0; n < rows; ++n) {
    const std::int32_t target = targets.data<std::int32_t>()[n];
    float* gradient = gradients == nullptr ? nullptr : gradients + n * classes;
    if (target == kIgnoredTarget) {
      if (gradient != nullptr) std::fill_n(gradient, classes, 0.0f);
      continue;
    }
    const float weight = (row_weights == nullptr ? 1.0f : row_weights->data<float>()[n]) *
                         (class_weights == nullptr ? 1.0f : class_weights->data<float>()[target]);
    const double loss =
        cpu::cross_entropy_row({logits.data<float>() + n * classes, classes, target, scale * weight, gradient, 0.0f});
    sum.loss += static_cast<double>(weight) * loss;
    sum.weight += static_cast<double>(weight);
    ++sum.count;
  }
  return sum;
}

LossSum squared_error(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float scale,
                      Tensor* dy) {
  constexpr const char* kOperation = "squared_error";
  check_devices(kOperation, context, {{"y", &y}, {"targets", &targets}, {"row_weights", row_weights}, {"dy", dy}});
  check_rank(kOperation, "y", y, 2);
  const DataType type = activation_type(kOperation, context, "y", y);
  const std::int64_t rows = y.size(0), columns = y.size(1);
  check_shape(kOperation, "y", y, {rows, columns}, type);
  check_shape(kOperation, "targets", targets, {rows, columns});
  if (row_weights != nullptr) check_shape(kOperation, "row_weights", *row_weights, {rows});
  if (dy != nullptr) check_shape(kOperation, "dy", *dy, {rows, columns}, type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::squared_error(context, y, targets, row_weights, scale, dy);
  }
  LossSum sum;
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    const float target = targets.data<float>()[i];
    const float weight = row_weights == nullptr ? 1.0f : row_weights->data<float>()[i / columns];
    const float difference = std::isnan(target) ? 0.0f : y.data<float>()[i] - target;
    if (dy != nullptr) dy->data<float>()[i] = scale * weight * difference;
    if (std::isnan(target)) continue;
    sum.loss += 0.5 * static_cast<double>(weight) * static_cast<double>(difference) * static_cast<double>(difference);
    sum.weight += static_cast<double>(weight);
    ++sum.count;
  }
  return sum;
}

}  // namespace kernels
