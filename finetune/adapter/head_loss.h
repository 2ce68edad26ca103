// What the outputs of a head are taught, and what they mean. K labels, B examples.
//   classify    K logits: softmax cross-entropy
//   ordinal     K - 1 logits of "beyond label k": binary cross-entropy of each (Frank and Hall 2001; trained
//               together by Cheng 2008); the class is the rounded mean rank, which is what squared kappa rewards
//   multilabel  K logits: binary cross-entropy of each
//   regress     the standardised value, by squared error or Huber's loss; or its quantiles by pinball loss
//   forecast    the standardised difference of each step from the signal's last value
// Pure functions; any thread.
#pragma once

#include <span>
#include <vector>

#include "finetune/adapter/head_form.h"
#include "finetune/train/example_encoding.h"
#include "kernels/ops/cross_entropy.h"

namespace finetune {

/// What a head learns, beside the labels' names.
struct HeadTarget {
  Task task = Task::kClassify;
  std::int64_t labels = 0;
  double mean = 0, deviation = 1;  // of the training part's values, forecast: of their differences from the level
  HeadForm form;
};

/// Columns of the head's output.
std::int64_t output_count(const HeadTarget& target);
/// By how much an example counts in a step: its weight times the values that it teaches. `class_weights`: [K] or null.
double loss_weight(const HeadTarget& target, const EncodedExample& example, const kernels::Tensor* class_weights);
/// output: [B, output_count]; doutput: = scale * gradient, may be output, null for the loss alone.
kernels::LossSum head_loss(kernels::Context& context, const HeadTarget& target,
                           std::span<const EncodedExample* const> batch, const kernels::Tensor& output,
                           const kernels::Tensor* class_weights, float scale, kernels::Tensor* doutput);

/// How each example's loss curves along each of its outputs alone: the second derivatives, unscaled, [B, output_count].
/// A loss that is no parabola but straight pieces (pinball, Huber's beyond its border) curves as squared error does, so
/// that a Newton step is a step along the gradient. What teaches nothing curves by 0.
kernels::Tensor head_curvature(const HeadTarget& target, std::span<const EncodedExample* const> batch,
                               const kernels::Tensor& output, const kernels::Tensor* class_weights);

/// One row of outputs, as the head gives it, in the answer's unit: probabilities of the labels, or values (quantiles
/// put in order). In double: values may stand far from 0 and close to each other.
std::vector<double> head_answer(const HeadTarget& target, const EncodedExample& example, std::span<const float> row);
/// The label that these probabilities stand for (classify, ordinal).
std::int32_t chosen_label(Task task, std::span<const float> probabilities);

}  // namespace finetune
