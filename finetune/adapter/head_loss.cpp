#include "finetune/adapter/head_loss.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops/head_losses.h"

namespace finetune {
namespace {

using kernels::LossSum;
using kernels::Tensor;
using Batch = std::span<const EncodedExample* const>;

double standardised(const HeadTarget& target, double value) { return (value - target.mean) / target.deviation; }

// What each output is wanted to be, row after row.
std::vector<float> wanted_of(const HeadTarget& target, const EncodedExample& example) {
  std::vector<float> wanted;
  switch (target.task) {
    case Task::kOrdinal:
      for (std::int32_t k = 0; k + 1 < target.labels; ++k)
        wanted.push_back(example.label < 0 ? NAN : example.label > k ? 1.0f : 0.0f);
      break;
    case Task::kMultilabel: wanted = example.marks; break;
    case Task::kForecast:
      for (const double value : example.values)
        wanted.push_back(static_cast<float>(standardised(target, value - example.level)));
      break;
    default: wanted.push_back(static_cast<float>(standardised(target, example.value)));
  }
  return wanted;
}

LossSum class_loss(kernels::Context& context, Batch batch, const Tensor& output, const Tensor* class_weights,
                   const Tensor& weights, float scale, Tensor* doutput) {
  std::vector<std::int32_t> labels;
  for (const EncodedExample* example : batch)
    labels.push_back(example->label < 0 ? kernels::kIgnoredTarget : example->label);
  return kernels::softmax_cross_entropy(context, output, Tensor::from(labels), class_weights, &weights, scale, doutput);
}

float sigmoid(float z) { return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(z)))); }

std::vector<float> softmax(std::span<const float> row) {
  const float largest = *std::max_element(row.begin(), row.end());
  std::vector<double> powers;
  double sum = 0;
  for (const float logit : row) sum += powers.emplace_back(std::exp(static_cast<double>(logit - largest)));
  std::vector<float> probabilities;
  for (const double power : powers) probabilities.push_back(static_cast<float>(power / sum));
  return probabilities;
}

// The chance of being beyond a label cannot rise from label to label.
std::vector<float> rank_probabilities(std::span<const float> row) {
  std::vector<float> probabilities;
  float before = 1.0f;
  for (const float logit : row) {
    const float beyond = std::min(before, sigmoid(logit));
    probabilities.push_back(before - beyond);
    before = beyond;
  }
  probabilities.push_back(before);
  return probabilities;
}

}  // namespace

std::int64_t output_count(const HeadTarget& target) {
  if (target.task == Task::kOrdinal) return target.labels - 1;
  if (has_labels(target.task)) return target.labels;
  if (target.task == Task::kForecast) return target.form.horizon;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(target.form.quantiles.size()));
}

double loss_weight(const HeadTarget& target, const EncodedExample& example, const Tensor* class_weights) {
  const auto weight = static_cast<double>(example.weight);
  if (target.task == Task::kClassify) {
    const bool weighted = class_weights != nullptr && example.label >= 0;
    return weighted ? weight * static_cast<double>(class_weights->data<float>()[example.label]) : weight;
  }
  if (target.task == Task::kForecast) {
    return weight * static_cast<double>(std::count_if(example.values.begin(), example.values.end(),
                                                      [](double value) { return std::isfinite(value); }));
  }
  return weight * static_cast<double>(output_count(target));
}

LossSum head_loss(kernels::Context& context, const HeadTarget& target, Batch batch, const Tensor& output,
                  const Tensor* class_weights, float scale, Tensor* doutput) {
  std::vector<float> each;
  for (const EncodedExample* example : batch) each.push_back(example->weight);
  const Tensor weights = Tensor::from(each);
  if (target.task == Task::kClassify) return class_loss(context, batch, output, class_weights, weights, scale, doutput);
  std::vector<float> wanted;
  for (const EncodedExample* example : batch) {
    for (const float value : wanted_of(target, *example)) wanted.push_back(value);
  }
  if (!target.form.quantiles.empty()) {
    return kernels::pinball_loss(context, output, Tensor::from(wanted), target.form.quantiles, &weights, scale,
                                 doutput);
  }
  const Tensor targets = Tensor::from(wanted, output.shape());
  if (has_labels(target.task))
    return kernels::sigmoid_cross_entropy(context, output, targets, &weights, scale, doutput);
  if (target.form.huber_delta > 0) {
    return kernels::huber_loss(context, output, targets, &weights, static_cast<float>(target.form.huber_delta), scale,
                               doutput);
  }
  return kernels::squared_error(context, output, targets, &weights, scale, doutput);
}

Tensor head_curvature(const HeadTarget& target, Batch batch, const Tensor& output, const Tensor* class_weights) {
  Tensor curvature(output.shape());
  const std::int64_t outputs = output.size(1);
  float* made = curvature.data<float>();
  for (std::size_t row = 0; row < batch.size(); ++row) {
    const EncodedExample& example = *batch[row];
    const std::span<const float> given(output.data<float>() + static_cast<std::int64_t>(row) * outputs,
                                       static_cast<std::size_t>(outputs));
    if (target.task == Task::kClassify) {
      const auto weight = example.label < 0 ? 0.0 : loss_weight(target, example, class_weights);
      for (const float p : softmax(given)) *made++ = static_cast<float>(weight) * p * (1.0f - p);
      continue;
    }
    const std::vector<float> wanted = wanted_of(target, example);
    for (std::size_t k = 0; k < given.size(); ++k) {
      const float known = std::isfinite(wanted[std::min(k, wanted.size() - 1)]) ? example.weight : 0.0f;
      const float p = has_labels(target.task) ? sigmoid(given[k]) : 0.0f;
      *made++ = has_labels(target.task) ? known * p * (1.0f - p) : known;
    }
  }
  return curvature;
}

std::vector<double> head_answer(const HeadTarget& target, const EncodedExample& example, std::span<const float> row) {
  if (has_one_label(target.task)) {
    const std::vector<float> probabilities = target.task == Task::kClassify ? softmax(row) : rank_probabilities(row);
    return {probabilities.begin(), probabilities.end()};
  }
  std::vector<double> answer;
  const double level = target.task == Task::kForecast ? example.level : 0;
  for (const float output : row) {
    answer.push_back(target.task == Task::kMultilabel
                         ? static_cast<double>(sigmoid(output))
                         : level + target.mean + target.deviation * static_cast<double>(output));
  }
  // Quantiles that cross are put in order (Chernozhukov et al. 2010).
  if (!target.form.quantiles.empty()) std::sort(answer.begin(), answer.end());
  return answer;
}

std::int32_t chosen_label(Task task, std::span<const float> probabilities) {
  if (task != Task::kOrdinal) {
    return static_cast<std::int32_t>(std::max_element(probabilities.begin(), probabilities.end()) -
                                     probabilities.begin());
  }
  double rank = 0;
  for (std::size_t k = 0; k < probabilities.size(); ++k)
    rank += static_cast<double>(k) * static_cast<double>(probabilities[k]);
  return static_cast<std::int32_t>(std::lround(rank));
}

}  // namespace finetune
