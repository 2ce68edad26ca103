#include "finetune/train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops/adamw.h"
#include "kernels/ops/sgd.h"
#include "platform/base/error.h"

namespace finetune {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

Optimizer::Optimizer(std::vector<TrainedWeight> weights, OptimizerOptions options)
    : weights_(std::move(weights)), options_(options) {
  for (const TrainedWeight& trained : weights_) {
    first_.push_back(Tensor::zeros(trained.weight->value.shape()));
    if (options_.kind == OptimizerKind::kAdamW) second_.push_back(Tensor::zeros(trained.weight->value.shape()));
  }
}

void Optimizer::zero_gradients() {
  for (const TrainedWeight& trained : weights_) trained.weight->gradient.fill_zero();
}

double Optimizer::step(kernels::Context& context, double learning_rate) {
  std::vector<const Tensor*> gradients;
  for (const TrainedWeight& trained : weights_) gradients.push_back(&trained.weight->gradient);
  const double norm = kernels::global_norm(context, gradients);
  if (!std::isfinite(norm)) {
    ++skipped_;
    ++skipped_in_a_row_;
    return norm;
  }
  skipped_in_a_row_ = 0;
  ++steps_;
  const float scale = kernels::clip_factor(norm, options_.clip_norm);
  if (options_.kind == OptimizerKind::kSgd) {
    sgd(context, static_cast<float>(learning_rate), scale);
  } else {
    adamw(context, static_cast<float>(learning_rate), scale);
  }
  return norm;
}

void Optimizer::adamw(kernels::Context& context, float learning_rate, float gradient_scale) {
  std::vector<kernels::AdamWTensor> tensors;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    Weight& weight = *weights_[i].weight;
    tensors.push_back(
        {&weight.value, &weight.gradient, &first_[i], &second_[i], weights_[i].learning_rate_scale, weights_[i].decay});
  }
  const kernels::AdamWOptions options{learning_rate, options_.beta1, options_.beta2, options_.epsilon,
                                      options_.weight_decay};
  kernels::adamw_step(context, tensors, options, steps_, gradient_scale);
}

void Optimizer::sgd(kernels::Context& context, float learning_rate, float gradient_scale) {
  std::vector<kernels::SgdTensor> tensors;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    Weight& weight = *weights_[i].weight;
    tensors.push_back(
        {&weight.value, &weight.gradient, &first_[i], weights_[i].learning_rate_scale, weights_[i].decay});
  }
  kernels::sgd_step(context, tensors, {learning_rate, options_.beta1, options_.weight_decay}, gradient_scale);
}

std::string Optimizer::first_not_finite() const {
  const auto damaged = [](const Tensor& tensor) {
    const auto values = tensor.values<float>();
    return !std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  };
  for (const TrainedWeight& trained : weights_) {
    if (damaged(trained.weight->value)) return "the weight " + trained.weight->name;
  }
  for (const TrainedWeight& trained : weights_) {
    if (damaged(trained.weight->gradient)) return "the gradient of " + trained.weight->name;
  }
  return {};
}

std::int64_t Optimizer::parameter_count() const {
  std::int64_t count = 0;
  for (const TrainedWeight& trained : weights_) count += trained.weight->value.count();
  return count;
}

std::map<std::string, const Tensor*> Optimizer::tensors() const {
  std::map<std::string, const Tensor*> all;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const std::string& name = weights_[i].weight->name;
    all[name] = &weights_[i].weight->value;
    all[name + ".m"] = &first_[i];
    if (!second_.empty()) all[name + ".v"] = &second_[i];
  }
  return all;
}

void Optimizer::restore(const std::map<std::string, Tensor>& tensors, std::int64_t steps, std::int64_t skipped) {
  const auto copy = [&](const std::string& name, Tensor& into) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.shape() != into.shape()) {
      throw Error(ErrorCode::kCorrupt,
                  "the checkpoint does not hold " + name + " in the shape of this run; remove it and start again");
    }
    into.copy_from(found->second);
  };
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const std::string& name = weights_[i].weight->name;
    copy(name, weights_[i].weight->value);
    copy(name + ".m", first_[i]);
    if (!second_.empty()) copy(name + ".v", second_[i]);
  }
  steps_ = steps;
  skipped_ = skipped;
}

}  // namespace finetune
