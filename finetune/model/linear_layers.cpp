#include "finetune/model/linear_layers.h"

#include <cmath>

#include "kernels/core/random.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"

namespace finetune {

using kernels::Context;
using kernels::Tensor;

namespace {

// 1 / |W + s B A| of each row, from |W|^2 + 2 s B (A W^T) + s^2 B (A A^T) B^T, so that the sum is never formed.
Tensor inverse_row_norms(Context& context, const Tensor& weight, const LinearAdapter& adapter) {
  const std::int64_t out = weight.size(0), in = weight.size(1), rank = adapter.a.value.size(0);
  const Tensor wide =
      weight.type() == kernels::DataType::kFloat32 ? weight.view() : weight.cast_to(kernels::DataType::kFloat32);
  Tensor crossed({out, rank}), square({rank, rank}), inverse({out});
  kernels::matmul(context, wide, adapter.a.value, crossed, {.transpose_b = true});
  kernels::matmul(context, adapter.a.value, adapter.a.value, square, {.transpose_b = true});
  const double scaling = static_cast<double>(adapter.scaling);
  const float *rows = wide.data<float>(), *products = crossed.data<float>(), *gram = square.data<float>();
  const float* b = adapter.b.value.data<float>();
  for (std::int64_t j = 0; j < out; ++j) {
    double norm = 0, linear = 0, quadratic = 0;
    for (std::int64_t i = 0; i < in; ++i)
      norm += static_cast<double>(rows[j * in + i]) * static_cast<double>(rows[j * in + i]);
    for (std::int64_t r = 0; r < rank; ++r) {
      const double factor = static_cast<double>(b[j * rank + r]);
      linear += factor * static_cast<double>(products[j * rank + r]);
      for (std::int64_t q = 0; q < rank; ++q)
        quadratic += factor * static_cast<double>(gram[r * rank + q]) * static_cast<double>(b[j * rank + q]);
    }
    const double whole = norm + 2.0 * scaling * linear + scaling * scaling * quadratic;
    inverse.data<float>()[j] = static_cast<float>(1.0 / std::sqrt(std::max(whole, 1e-30)));
  }
  return inverse;
}

std::size_t place_of(std::size_t layer, LinearKind kind) { return layer * kLinearCount + index_of(kind); }

}  // namespace

LinearLayers::LinearLayers(ModelWeights& weights, LinearAdapters* adapters) : weights_(weights), adapters_(adapters) {}

void LinearLayers::begin(Context& context, const LinearPass& pass) {
  pass_ = pass;
  if (adapters_ != nullptr && pass.adapted && !pass.continues) make_norms(context);
}

void LinearLayers::make_norms(Context& context) {
  inverse_norms_.resize(adapters_->size() * kLinearCount);
  for (std::size_t layer = 0; layer < adapters_->size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const LinearAdapter* adapter = adapter_of(layer, kind);
      if (adapter == nullptr || !adapter->magnitude.present()) continue;
      inverse_norms_[place_of(layer, kind)] =
          inverse_row_norms(context, weights_.layers[layer].linears[index_of(kind)].dense(context), *adapter);
    }
  }
}

LinearAdapter* LinearLayers::adapter_of(std::size_t layer, LinearKind kind) {
  if (adapters_ == nullptr || !pass_.adapted || layer >= adapters_->size()) return nullptr;
  auto& found = (*adapters_)[layer][index_of(kind)];
  return found ? &*found : nullptr;
}

kernels::LoraOptions LinearLayers::options(std::size_t layer, LinearKind kind, const LinearAdapter& adapter) const {
  kernels::LoraOptions options;
  options.scaling = adapter.scaling;
  if (!pass_.training) return options;
  options.dropout = adapter.dropout;
  options.seed = kernels::random_bits(pass_.dropout_seed, place_of(layer, kind));
  return options;
}

void LinearLayers::forward(Context& context, std::size_t layer, LinearKind kind, const Tensor& x,
                           LinearActivations& saved, Tensor& y, float beta) {
  const LinearWeight& weight = weights_.layers[layer].linears[index_of(kind)];
  LinearAdapter* adapter = adapter_of(layer, kind);
  const bool scaled = adapter != nullptr && adapter->magnitude.present();
  Tensor& plain = saved.plain[index_of(kind)];
  if (scaled) plain.resize({x.size(0), weight.packed.out_features()});
  Tensor& sum = scaled ? plain : y;
  kernels::linear(context, x, weight.packed, sum, scaled ? 0.0f : beta);
  if (adapter != nullptr) {
    Tensor& low_rank = saved.low_rank[index_of(kind)];
    low_rank.resize({x.size(0), adapter->a.value.size(0)});
    kernels::lora_forward(context, x, adapter->a.value, adapter->b.value, options(layer, kind, *adapter), low_rank,
                          sum);
    if (adapter->b_bias.present()) kernels::add_bias(context, adapter->b_bias.value, sum, adapter->scaling);
  }
  if (scaled) magnitude_forward(context, place_of(layer, kind), *adapter, plain, y, beta);
  if (weight.bias.present()) kernels::add_bias(context, weight.bias.value, y);
}

void LinearLayers::magnitude_forward(Context& context, std::size_t place, const LinearAdapter& adapter,
                                     const Tensor& plain, Tensor& y, float beta) {
  factor_.resize(adapter.magnitude.value.shape());
  kernels::multiply(context, adapter.magnitude.value, inverse_norms_[place], factor_);
  kernels::multiply_columns(context, plain, factor_, y, beta);
}

// The gradient of `plain`; the magnitude's is added to.
Tensor& LinearLayers::magnitude_backward(Context& context, std::size_t place, LinearAdapter& adapter, const Tensor& dy,
                                         const Tensor& plain) {
  const Tensor& inverse = inverse_norms_[place];
  if (adapter.magnitude.trained()) {
    factor_.resize(inverse.shape());
    factor_.fill_zero();
    kernels::dot_columns(context, dy, plain, factor_);
    kernels::multiply(context, factor_, inverse, factor_);
    kernels::add(context, factor_, adapter.magnitude.gradient);
  }
  factor_.resize(inverse.shape());
  kernels::multiply(context, adapter.magnitude.value, inverse, factor_);
  dplain_.resize(dy.shape());
  kernels::multiply_columns(context, dy, factor_, dplain_, 0.0f);
  return dplain_;
}

void LinearLayers::backward(Context& context, std::size_t layer, LinearKind kind, const Tensor& dy, const Tensor& x,
                            LinearActivations& saved, Tensor& dx, float beta) {
  LinearWeight& weight = weights_.layers[layer].linears[index_of(kind)];
  LinearAdapter* adapter = adapter_of(layer, kind);
  if (weight.bias.trained()) kernels::sum_rows(context, dy, weight.bias.gradient);
  const bool scaled = adapter != nullptr && adapter->magnitude.present();
  const Tensor& dsum =
      scaled ? magnitude_backward(context, place_of(layer, kind), *adapter, dy, saved.plain[index_of(kind)]) : dy;
  kernels::linear_backward_input(context, dsum, weight.packed, dx, beta);
  if (weight.trained()) kernels::linear_backward_weight(context, dsum, x, weight.gradient);
  if (adapter == nullptr) return;
  if (adapter->b_bias.trained()) kernels::sum_rows(context, dsum, adapter->b_bias.gradient, adapter->scaling);
  kernels::lora_backward(context, dsum, x, saved.low_rank[index_of(kind)], adapter->a.value, adapter->b.value,
                         options(layer, kind, *adapter), adapter->a.gradient, adapter->b.gradient, &dx);
}

}  // namespace finetune
