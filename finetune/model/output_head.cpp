#include "finetune/model/output_head.h"

#include <cstring>

#include "kernels/ops/matmul.h"

namespace finetune {

using kernels::Context;
using kernels::Tensor;

void OutputHead::begin(Context& context, bool adapted, bool continues) {
  low_rank_ = adapted && adapter_ != nullptr && adapter_->a.present();
  rows_ = adapted && embedding_ != nullptr && embedding_->rows.present() && weights_.tied();
  const bool kept = composed_ && continues;
  composed_ = low_rank_ || rows_;
  if (!composed_ || kept) return;
  value_ = weights_.head().value.cast_to(kernels::DataType::kFloat32);
  if (low_rank_)
    kernels::matmul(context, adapter_->b.value, adapter_->a.value, value_, {.alpha = adapter_->scaling, .beta = 1.0f});
  if (rows_) {
    const std::int64_t width = value_.size(1);
    for (std::size_t k = 0; k < embedding_->tokens.size(); ++k)
      std::memcpy(value_.data<float>() + embedding_->tokens[k] * width,
                  embedding_->rows.value.data<float>() + static_cast<std::int64_t>(k) * width,
                  static_cast<std::size_t>(width) * sizeof(float));
  }
  packed_ = kernels::PackedWeight(value_.view());
}

Tensor* OutputHead::gradient() {
  if (!composed_) return weights_.head().gradient_or_null();
  const bool trained = (low_rank_ && adapter_->a.trained()) || (rows_ && embedding_->rows.trained());
  if (!trained) return nullptr;
  gradient_.resize(value_.shape());
  gradient_.fill_zero();
  return &gradient_;
}

void OutputHead::backward(Context& context) {
  if (low_rank_ && adapter_->a.trained()) low_rank_backward(context);
  if (!rows_ || !embedding_->rows.trained()) return;
  const std::int64_t width = gradient_.size(1);
  for (std::size_t k = 0; k < embedding_->tokens.size(); ++k) {
    const float* from = gradient_.data<float>() + embedding_->tokens[k] * width;
    float* to = embedding_->rows.gradient.data<float>() + static_cast<std::int64_t>(k) * width;
    for (std::int64_t c = 0; c < width; ++c) to[c] += from[c];
  }
}

// dB += s dW A^T;  dA += s B^T dW.
void OutputHead::low_rank_backward(Context& context) {
  const float scaling = adapter_->scaling;
  kernels::matmul(context, gradient_, adapter_->a.value, adapter_->b.gradient,
                  {.transpose_b = true, .alpha = scaling, .beta = 1.0f});
  kernels::matmul(context, adapter_->b.value, gradient_, adapter_->a.gradient,
                  {.transpose_a = true, .alpha = scaling, .beta = 1.0f});
}

}  // namespace finetune
