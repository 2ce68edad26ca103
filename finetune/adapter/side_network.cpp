#include "finetune/adapter/side_network.h"

#include <cmath>

#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

// Of a random n-gram's row; a text's words are of unit length together, and so are its pieces.
constexpr double kNgramDeviation = 0.02;
// The output's share of a unit's usual deviation, so that a fit starts near 0.
constexpr double kLastShare = 0.5;

Weight named(const char* name, Tensor value) {
  Weight weight;
  weight.name = name;
  weight.value = std::move(value);
  return weight;
}

Tensor normal(kernels::Shape shape, double deviation, kernels::Random& random) {
  Tensor tensor(std::move(shape));
  for (float& value : tensor.values<float>()) value = static_cast<float>(random.normal() * deviation);
  return tensor;
}

double usual(std::int64_t inputs) { return 1.0 / std::sqrt(static_cast<double>(std::max<std::int64_t>(1, inputs))); }

// 0 with the probability `share`, else what keeps the mean.
void draw_mask(Tensor& mask, double share, kernels::Random& random) {
  const auto kept = static_cast<float>(1.0 / (1.0 - share));
  for (float& value : mask.values<float>()) value = random.uniform() < share ? 0.0f : kept;
}

}  // namespace

SideNetwork::SideNetwork(const SideShape& shape, kernels::Random& random) : shape_(shape) {
  const auto [dense, ngrams, outputs, members, width] = shape;
  first_ = named("side.first", normal({members * width, dense}, usual(dense), random));
  first_ngrams_ =
      named("side.first_ngrams", normal({std::min(ngrams, kHiddenNgrams), members * width}, kNgramDeviation, random));
  first_bias_ = named("side.first_bias", Tensor::zeros({members * width}));
  second_ = named("side.second", normal({members * width, width}, usual(width), random));
  second_bias_ = named("side.second_bias", Tensor::zeros({members * width}));
  last_first_ = named("side.last_first", normal({members * outputs, width}, kLastShare * usual(width), random));
  last_second_ = named("side.last_second", normal({members * outputs, width}, kLastShare * usual(width), random));
  last_bias_ = named("side.last_bias", Tensor::zeros({members * outputs}));
  linear_ = named("side.linear", Tensor::zeros({outputs, dense}));
  linear_ngrams_ = named("side.linear_ngrams", Tensor::zeros({ngrams, outputs}));
}

std::vector<Weight*> SideNetwork::weights() {
  std::vector<Weight*> all;
  for (Weight* weight : {&first_, &first_ngrams_, &first_bias_, &second_, &second_bias_, &last_first_, &last_second_,
                         &last_bias_, &linear_, &linear_ngrams_}) {
    if (weight->value.count() > 0) all.push_back(weight);
  }
  return all;
}

void SideNetwork::make_trainable() {
  for (Weight* weight : weights()) weight->gradient = Tensor::zeros(weight->value.shape());
}

void SideNetwork::read(std::span<const SideInput* const> inputs, double thinning, kernels::Random& random) {
  const auto rows = static_cast<std::int64_t>(inputs.size());
  dense_.resize({rows, shape_.dense});
  TextBagBuilder all, frequent;
  const auto kept = static_cast<float>(1.0 / (1.0 - thinning));
  for (std::int64_t row = 0; row < rows; ++row) {
    const SideInput& input = *inputs[static_cast<std::size_t>(row)];
    std::copy(input.dense.begin(), input.dense.end(), dense_.data<float>() + row * shape_.dense);
    for (std::size_t i = 0; i < input.text.ids.size(); ++i) {
      if (thinning > 0 && random.uniform() < thinning) continue;
      all.add(input.text.ids[i], kept * input.text.weights[i]);
      if (input.text.ids[i] < kHiddenNgrams) frequent.add(input.text.ids[i], kept * input.text.weights[i]);
    }
    all.end_example();
    frequent.end_example();
  }
  text_ = all.bag();
  frequent_ = frequent.bag();
}

void SideNetwork::hidden_forward(Context& context, double dropout, kernels::Random& random) {
  const std::int64_t rows = dense_.size(0), width = shape_.width, all = shape_.members * width;
  for (Tensor* tensor : {&before_first_, &after_first_, &before_second_, &after_second_}) tensor->resize({rows, all});
  kernels::embedding_bag_forward(context, first_ngrams_.value, frequent_.ids, frequent_.borders, frequent_.weights,
                                 before_first_);
  if (shape_.dense > 0)
    kernels::matmul(context, dense_, first_.value, before_first_, {.transpose_b = true, .beta = 1.0f});
  kernels::add_bias(context, first_bias_.value, before_first_);
  kernels::activation_forward(context, kernels::Activation::kSilu, before_first_, after_first_);
  const auto drop = [&](Tensor& mask, Tensor& values) {
    mask.resize({dropout > 0 ? rows : 0, all});
    if (dropout == 0) return;
    draw_mask(mask, dropout, random);
    kernels::multiply(context, values, mask, values);
  };
  drop(mask_first_, after_first_);
  for (std::int64_t member = 0; member < shape_.members; ++member) {
    kernels::gemm(context, false, true, rows, width, width, 1.0f, after_first_.data<float>() + member * width, all,
                  second_.value.data<float>() + member * width * width, width, 0.0f,
                  before_second_.data<float>() + member * width, all);
  }
  kernels::add_bias(context, second_bias_.value, before_second_);
  kernels::activation_forward(context, kernels::Activation::kSilu, before_second_, after_second_);
  drop(mask_second_, after_second_);
}

Tensor& SideNetwork::forward_members(Context& context, std::span<const SideInput* const> inputs, double dropout,
                                     double thinning, std::uint64_t seed) {
  kernels::Random random(seed);
  read(inputs, thinning, random);
  hidden_forward(context, dropout, random);
  const std::int64_t rows = dense_.size(0), width = shape_.width, all = shape_.members * width;
  const std::int64_t outputs = shape_.outputs;
  shared_.resize({rows, outputs});
  kernels::embedding_bag_forward(context, linear_ngrams_.value, text_.ids, text_.borders, text_.weights, shared_);
  if (shape_.dense > 0) kernels::matmul(context, dense_, linear_.value, shared_, {.transpose_b = true, .beta = 1.0f});
  members_.resize({shape_.members * rows, outputs});
  for (std::int64_t member = 0; member < shape_.members; ++member) {
    Tensor output = members_.slice_rows(member * rows, (member + 1) * rows);
    output.copy_from(shared_);
    const auto add_product = [&](const Tensor& hidden, const Tensor& weight) {
      kernels::gemm(context, false, true, rows, outputs, width, 1.0f, hidden.data<float>() + member * width, all,
                    weight.data<float>() + member * outputs * width, width, 1.0f, output.data<float>(), outputs);
    };
    add_product(after_first_, last_first_.value);
    add_product(after_second_, last_second_.value);
    kernels::add_bias(context, last_bias_.value.slice_rows(member * outputs, (member + 1) * outputs), output);
  }
  return members_;
}

const Tensor& SideNetwork::forward(Context& context, std::span<const SideInput* const> inputs) {
  const Tensor& members = forward_members(context, inputs, 0, 0, 0);
  const auto rows = static_cast<std::int64_t>(inputs.size());
  mean_.resize({rows, shape_.outputs});
  mean_.fill_zero();
  for (std::int64_t member = 0; member < shape_.members; ++member) {
    const Tensor output = members.slice_rows(member * rows, (member + 1) * rows);
    kernels::add(context, output, mean_, 1.0f / static_cast<float>(shape_.members));
  }
  return mean_;
}

void SideNetwork::backward(Context& context, const Tensor& doutput) {
  const std::int64_t rows = dense_.size(0), width = shape_.width, all = shape_.members * width;
  const std::int64_t outputs = shape_.outputs;
  Tensor dshared = Tensor::zeros({rows, outputs});
  Tensor dfirst({rows, all}), dsecond({rows, all});
  for (std::int64_t member = 0; member < shape_.members; ++member) {
    const Tensor dmember = doutput.slice_rows(member * rows, (member + 1) * rows);
    kernels::add(context, dmember, dshared);
    const auto back = [&](Weight& weight, const Tensor& hidden, Tensor& dhidden) {
      kernels::gemm(context, true, false, outputs, width, rows, 1.0f, dmember.data<float>(), outputs,
                    hidden.data<float>() + member * width, all, 1.0f,
                    weight.gradient.data<float>() + member * outputs * width, width);
      kernels::gemm(context, false, false, rows, width, outputs, 1.0f, dmember.data<float>(), outputs,
                    weight.value.data<float>() + member * outputs * width, width, 0.0f,
                    dhidden.data<float>() + member * width, all);
    };
    back(last_first_, after_first_, dfirst);
    back(last_second_, after_second_, dsecond);
    Tensor dbias = last_bias_.gradient.slice_rows(member * outputs, (member + 1) * outputs);
    kernels::sum_rows(context, dmember, dbias);
  }
  if (mask_second_.size(0) > 0) kernels::multiply(context, dsecond, mask_second_, dsecond);
  kernels::activation_backward(context, kernels::Activation::kSilu, dsecond, before_second_, dsecond);
  kernels::sum_rows(context, dsecond, second_bias_.gradient);
  for (std::int64_t member = 0; member < shape_.members; ++member) {
    kernels::gemm(context, true, false, width, width, rows, 1.0f, dsecond.data<float>() + member * width, all,
                  after_first_.data<float>() + member * width, all, 1.0f,
                  second_.gradient.data<float>() + member * width * width, width);
    kernels::gemm(context, false, false, rows, width, width, 1.0f, dsecond.data<float>() + member * width, all,
                  second_.value.data<float>() + member * width * width, width, 1.0f,
                  dfirst.data<float>() + member * width, all);
  }
  if (mask_first_.size(0) > 0) kernels::multiply(context, dfirst, mask_first_, dfirst);
  kernels::activation_backward(context, kernels::Activation::kSilu, dfirst, before_first_, dfirst);
  kernels::sum_rows(context, dfirst, first_bias_.gradient);
  if (shape_.ngrams > 0) {
    kernels::embedding_bag_backward(context, frequent_.ids, frequent_.borders, frequent_.weights, dfirst,
                                    first_ngrams_.gradient);
    kernels::embedding_bag_backward(context, text_.ids, text_.borders, text_.weights, dshared, linear_ngrams_.gradient);
  }
  if (shape_.dense == 0) return;
  kernels::matmul(context, dfirst, dense_, first_.gradient, {.transpose_a = true, .beta = 1.0f});
  kernels::matmul(context, dshared, dense_, linear_.gradient, {.transpose_a = true, .beta = 1.0f});
}

void SideNetwork::add(Context& context, const SideLinear& linear, float factor) {
  if (linear_.value.count() > 0) kernels::add(context, linear.dense, linear_.value, factor);
  if (linear_ngrams_.value.count() > 0) kernels::add(context, linear.ngrams, linear_ngrams_.value, factor);
  for (std::int64_t member = 0; member < shape_.members; ++member) {
    Tensor bias = last_bias_.value.slice_rows(member * shape_.outputs, (member + 1) * shape_.outputs);
    kernels::add(context, linear.bias, bias, factor);
  }
}

void SideNetwork::scale_outputs(Context& context, float factor) {
  for (Weight* weight : {&last_first_, &last_second_, &last_bias_, &linear_, &linear_ngrams_})
    kernels::scale(context, weight->value, factor);
}

}  // namespace finetune
