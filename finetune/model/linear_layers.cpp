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

void add_layer_bias(Context& context, const LinearWeight& weight, Tensor& y) {
  if (weight.bias.present()) kernels::add_bias(context, weight.bias.value, y);
}

// y = W x + bias.
void plain_forward(Context& context, const LinearWeight& weight, const Tensor& x, Tensor& y, float beta) {
  kernels::linear(context, x, weight.packed, y, beta);
  add_layer_bias(context, weight, y);
}

}  // namespace

LinearLayers::LinearLayers(ActiveWeights& weights, LinearAdapters* adapters) : weights_(weights), adapters_(adapters) {}

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
      inverse_norms_[layer * kLinearCount + index_of(kind)] =
          inverse_row_norms(context, weights_.linear(layer, kind).dense(context), *adapter);
    }
  }
}

LinearAdapter* LinearLayers::adapter_of(std::size_t layer, LinearKind kind) {
  if (adapters_ == nullptr || !pass_.adapted || layer >= adapters_->size()) return nullptr;
  auto& found = (*adapters_)[layer][index_of(kind)];
  return found ? &*found : nullptr;
}

Dropout LinearLayers::dropout(const Place& place) const {
  if (!pass_.training) return {};
  return {place.adapter.dropout, kernels::random_bits(pass_.dropout_seed, place.number)};
}

kernels::LoraOptions LinearLayers::options(const Place& place) const {
  const Dropout drop = dropout(place);
  return {.scaling = place.adapter.scaling, .dropout = drop.probability, .seed = drop.seed};
}

void LinearLayers::forward(Context& context, std::size_t layer, LinearKind kind, const Tensor& x,
                           LinearActivations& saved, Tensor& y, float beta) {
  LinearWeight& weight = weights_.linear(layer, kind);
  LinearAdapter* adapter = adapter_of(layer, kind);
  if (adapter == nullptr) return plain_forward(context, weight, x, y, beta);
  Place place{weight, *adapter, layer * kLinearCount + index_of(kind), saved.low_rank[index_of(kind)],
              saved.plain[index_of(kind)]};
  if (adapter->factors.present()) return factors_forward(context, place, x, y, beta);
  if (adapter->down.present()) return bottleneck_forward(context, place, x, y, beta);
  low_rank_forward(context, place, x, y, beta);
}

void LinearLayers::backward(Context& context, std::size_t layer, LinearKind kind, const Tensor& dy, const Tensor& x,
                            LinearActivations& saved, Tensor& dx, float beta) {
  LinearWeight& weight = weights_.linear(layer, kind);
  LinearAdapter* adapter = adapter_of(layer, kind);
  if (adapter == nullptr) {
    if (weight.bias.trained()) kernels::sum_rows(context, dy, weight.bias.gradient);
    kernels::linear_backward_input(context, dy, weight.packed, dx, beta);
    if (weight.trained()) kernels::linear_backward_weight(context, dy, x, weight.gradient);
    return;
  }
  Place place{weight, *adapter, layer * kLinearCount + index_of(kind), saved.low_rank[index_of(kind)],
              saved.plain[index_of(kind)]};
  if (adapter->factors.present()) return factors_backward(context, place, dy, x, dx, beta);
  if (adapter->down.present()) return bottleneck_backward(context, place, dy, dx, beta);
  low_rank_backward(context, place, dy, x, dx, beta);
}

// sum += s (B drop(A x) + b_bias) - s B0 A0 x.
void LinearLayers::add_low_rank(Context& context, Place& place, const Tensor& x, Tensor& sum) {
  const LinearAdapter& adapter = place.adapter;
  place.low_rank.resize({x.size(0), adapter.a.value.size(0)});
  kernels::lora_forward(context, x, adapter.a.value, adapter.b.value, options(place), place.low_rank, sum);
  if (adapter.b_bias.present()) kernels::add_bias(context, adapter.b_bias.value, sum, adapter.scaling);
  if (adapter.start_a.count() == 0) return;
  start_.resize(place.low_rank.shape());
  kernels::lora_forward(context, x, adapter.start_a, adapter.start_b, {.scaling = -adapter.scaling}, start_, sum);
}

void LinearLayers::low_rank_forward(Context& context, Place& place, const Tensor& x, Tensor& y, float beta) {
  const bool scaled = place.adapter.magnitude.present();
  if (scaled && dropout(place).probability > 0.0f) return dropped_forward(context, place, x, y, beta);
  if (scaled) place.plain.resize({x.size(0), place.weight.packed.out_features()});
  Tensor& sum = scaled ? place.plain : y;
  kernels::linear(context, x, place.weight.packed, sum, scaled ? 0.0f : beta);
  add_low_rank(context, place, x, sum);
  if (scaled) magnitude_forward(context, place, y, beta);
  add_layer_bias(context, place.weight, y);
}

void LinearLayers::low_rank_backward(Context& context, Place& place, const Tensor& dy, const Tensor& x, Tensor& dx,
                                     float beta) {
  LinearAdapter& adapter = place.adapter;
  const bool scaled = adapter.magnitude.present();
  if (scaled && dropout(place).probability > 0.0f) return dropped_backward(context, place, dy, x, dx, beta);
  const Tensor& dsum = scaled ? magnitude_backward(context, place, dy) : dy;
  kernels::linear_backward_input(context, dsum, place.weight.packed, dx, beta);
  if (adapter.b_bias.trained()) kernels::sum_rows(context, dsum, adapter.b_bias.gradient, adapter.scaling);
  kernels::lora_backward(context, dsum, x, place.low_rank, adapter.a.value, adapter.b.value, options(place),
                         adapter.a.gradient, adapter.b.gradient, &dx);
  if (adapter.start_a.count() == 0) return;
  start_.resize(place.low_rank.shape());
  kernels::matmul(context, dsum, adapter.start_b, start_, {.alpha = -adapter.scaling});
  kernels::matmul(context, start_, adapter.start_a, dx, {.beta = 1.0f});
}

void LinearLayers::magnitude_forward(Context& context, const Place& place, Tensor& y, float beta) {
  factor_.resize(place.adapter.magnitude.value.shape());
  kernels::multiply(context, place.adapter.magnitude.value, inverse_norms_[place.number], factor_);
  kernels::multiply_columns(context, place.plain, factor_, y, beta);
}

// The gradient of `plain`; the magnitude's is added to.
Tensor& LinearLayers::magnitude_backward(Context& context, Place& place, const Tensor& dy) {
  LinearAdapter& adapter = place.adapter;
  const Tensor& inverse = inverse_norms_[place.number];
  if (adapter.magnitude.trained()) {
    factor_.resize(inverse.shape());
    factor_.fill_zero();
    kernels::dot_columns(context, dy, place.plain, factor_);
    kernels::multiply(context, factor_, inverse, factor_);
    kernels::add(context, factor_, adapter.magnitude.gradient);
  }
  factor_.resize(inverse.shape());
  kernels::multiply(context, adapter.magnitude.value, inverse, factor_);
  dplain_.resize(dy.shape());
  kernels::multiply_columns(context, dy, factor_, dplain_, 0.0f);
  return dplain_;
}

// DoRA with dropout: with z = drop(x), y = W x + bias - W z + m / norm (W z + s B A z).
void LinearLayers::dropped_forward(Context& context, Place& place, const Tensor& x, Tensor& y, float beta) {
  const LinearAdapter& adapter = place.adapter;
  dropped_.resize(x.shape());
  drop(context, x, dropout(place), dropped_);
  place.plain.resize({x.size(0), place.weight.packed.out_features()});
  kernels::linear(context, dropped_, place.weight.packed, place.plain);
  kernels::linear(context, x, place.weight.packed, y, beta);
  kernels::add(context, place.plain, y, -1.0f);
  place.low_rank.resize({x.size(0), adapter.a.value.size(0)});
  kernels::lora_forward(context, dropped_, adapter.a.value, adapter.b.value, {.scaling = adapter.scaling},
                        place.low_rank, place.plain);
  magnitude_forward(context, place, y, 1.0f);
  add_layer_bias(context, place.weight, y);
}

void LinearLayers::dropped_backward(Context& context, Place& place, const Tensor& dy, const Tensor& x, Tensor& dx,
                                    float beta) {
  LinearAdapter& adapter = place.adapter;
  Tensor& dplain = magnitude_backward(context, place, dy);
  dropped_.resize(x.shape());
  drop(context, x, dropout(place), dropped_);
  undropped_.resize(x.shape());
  undropped_.fill_zero();
  kernels::lora_backward(context, dplain, dropped_, place.low_rank, adapter.a.value, adapter.b.value,
                         {.scaling = adapter.scaling}, adapter.a.gradient, adapter.b.gradient, &undropped_);
  kernels::add(context, dy, dplain, -1.0f);
  kernels::linear_backward_input(context, dplain, place.weight.packed, undropped_, 1.0f);
  kernels::linear_backward_input(context, dy, place.weight.packed, dx, beta);
  drop_backward(context, undropped_, dropout(place), dx);
}

void LinearLayers::factors_forward(Context& context, Place& place, const Tensor& x, Tensor& y, float beta) {
  const Tensor& factors = place.adapter.factors.value;
  const Tensor flat = factors.view({factors.count()});
  if (place.adapter.factors_of_input) {
    inner_.resize(x.shape());
    kernels::multiply_columns(context, x, flat, inner_);
    return plain_forward(context, place.weight, inner_, y, beta);
  }
  place.plain.resize({x.size(0), place.weight.packed.out_features()});
  plain_forward(context, place.weight, x, place.plain, 0.0f);
  kernels::multiply_columns(context, place.plain, flat, y, beta);
}

void LinearLayers::factors_backward(Context& context, Place& place, const Tensor& dy, const Tensor& x, Tensor& dx,
                                    float beta) {
  Weight& factors = place.adapter.factors;
  const Tensor flat = std::as_const(factors.value).view({factors.value.count()});
  Tensor dflat = factors.gradient.view({factors.gradient.count()});
  if (place.adapter.factors_of_input) {
    dinner_.resize(x.shape());
    kernels::linear_backward_input(context, dy, place.weight.packed, dinner_);
    if (factors.trained()) kernels::dot_columns(context, x, dinner_, dflat);
    kernels::multiply_columns(context, dinner_, flat, dx, beta);
    return;
  }
  if (factors.trained()) kernels::dot_columns(context, dy, place.plain, dflat);
  dplain_.resize(dy.shape());
  kernels::multiply_columns(context, dy, flat, dplain_);
  kernels::linear_backward_input(context, dplain_, place.weight.packed, dx, beta);
}

void LinearLayers::bottleneck_forward(Context& context, Place& place, const Tensor& x, Tensor& y, float beta) {
  const LinearAdapter& adapter = place.adapter;
  place.plain.resize({x.size(0), place.weight.packed.out_features()});
  plain_forward(context, place.weight, x, place.plain, 0.0f);
  place.low_rank.resize({x.size(0), adapter.down.value.size(0)});
  kernels::matmul(context, place.plain, adapter.down.value, place.low_rank, {.transpose_b = true});
  kernels::add_bias(context, adapter.down_bias.value, place.low_rank);
  inner_.resize(place.low_rank.shape());
  kernels::activation_forward(context, adapter.activation, place.low_rank, inner_);
  kernels::matmul(context, inner_, adapter.up.value, y, {.transpose_b = true, .beta = beta});
  kernels::add_bias(context, adapter.up_bias.value, y);
  kernels::add(context, place.plain, y);
}

void LinearLayers::bottleneck_backward(Context& context, Place& place, const Tensor& dy, Tensor& dx, float beta) {
  LinearAdapter& adapter = place.adapter;
  inner_.resize(place.low_rank.shape());
  kernels::activation_forward(context, adapter.activation, place.low_rank, inner_);
  dinner_.resize(place.low_rank.shape());
  kernels::matmul(context, dy, adapter.up.value, dinner_);
  kernels::activation_backward(context, adapter.activation, dinner_, place.low_rank, dinner_);
  dplain_.resize(dy.shape());
  dplain_.copy_from(dy);
  kernels::matmul(context, dinner_, adapter.down.value, dplain_, {.beta = 1.0f});
  if (adapter.up.trained()) {
    kernels::matmul(context, dy, inner_, adapter.up.gradient, {.transpose_a = true, .beta = 1.0f});
    kernels::sum_rows(context, dy, adapter.up_bias.gradient);
    kernels::matmul(context, dinner_, place.plain, adapter.down.gradient, {.transpose_a = true, .beta = 1.0f});
    kernels::sum_rows(context, dinner_, adapter.down_bias.gradient);
  }
  kernels::linear_backward_input(context, dplain_, place.weight.packed, dx, beta);
}

}  // namespace finetune
