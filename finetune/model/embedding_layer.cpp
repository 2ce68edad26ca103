#include "finetune/model/embedding_layer.h"

#include <cstring>

#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"

namespace finetune {

using kernels::Context;
using kernels::Tensor;

bool EmbeddingLayer::trained() {
  return weights_.embedding().trained() || (low_rank() && adapter_->a.trained()) ||
         (rows() && adapter_->rows.trained());
}

const std::unordered_map<std::int32_t, std::int64_t>& EmbeddingLayer::places() {
  if (places_.empty()) {
    for (std::size_t k = 0; k < adapter_->tokens.size(); ++k)
      places_[adapter_->tokens[k]] = static_cast<std::int64_t>(k);
  }
  return places_;
}

void EmbeddingLayer::forward(Context& context, const Tensor& ids, Tensor& y) {
  kernels::embedding_forward(context, weights_.embedding().value, ids, y);
  if (low_rank()) low_rank_forward(context, ids, y);
  if (!rows()) return;
  const std::int64_t width = y.size(1);
  const std::int32_t* tokens = ids.data<std::int32_t>();
  for (std::int64_t n = 0; n < ids.count(); ++n) {
    const auto found = places().find(tokens[n]);
    if (found == places().end()) continue;
    std::memcpy(y.data<float>() + n * width, adapter_->rows.value.data<float>() + found->second * width,
                static_cast<std::size_t>(width) * sizeof(float));
  }
}

// p[n] = A[:, ids[n]];  y += s p B^T. A slot's p is zero.
void EmbeddingLayer::low_rank_forward(Context& context, const Tensor& ids, Tensor& y) {
  const std::int64_t rank = adapter_->a.value.size(0), vocabulary = adapter_->a.value.size(1);
  low_rank_.resize({ids.count(), rank});
  const float* a = adapter_->a.value.data<float>();
  const std::int32_t* tokens = ids.data<std::int32_t>();
  for (std::int64_t n = 0; n < ids.count(); ++n) {
    for (std::int64_t k = 0; k < rank; ++k)
      low_rank_.data<float>()[n * rank + k] = tokens[n] < 0 ? 0.0f : a[k * vocabulary + tokens[n]];
  }
  kernels::matmul(context, low_rank_, adapter_->b.value, y,
                  {.transpose_b = true, .alpha = adapter_->scaling, .beta = 1.0f});
}

// dB += s dy^T p;  with q = s dy B, dA[:, ids[n]] += q[n].
void EmbeddingLayer::low_rank_backward(Context& context, const Tensor& ids, const Tensor& dy) {
  const std::int64_t rank = adapter_->a.value.size(0), vocabulary = adapter_->a.value.size(1);
  kernels::matmul(context, dy, low_rank_, adapter_->b.gradient,
                  {.transpose_a = true, .alpha = adapter_->scaling, .beta = 1.0f});
  Tensor q({ids.count(), rank});
  kernels::matmul(context, dy, adapter_->b.value, q, {.alpha = adapter_->scaling});
  float* da = adapter_->a.gradient.data<float>();
  const std::int32_t* tokens = ids.data<std::int32_t>();
  for (std::int64_t n = 0; n < ids.count(); ++n) {
    if (tokens[n] < 0) continue;
    for (std::int64_t k = 0; k < rank; ++k) da[k * vocabulary + tokens[n]] += q.data<float>()[n * rank + k];
  }
}

void EmbeddingLayer::backward(Context& context, const Tensor& ids, const Tensor& dy) {
  if (weights_.embedding().trained()) kernels::embedding_backward(context, ids, dy, weights_.embedding().gradient);
  if (low_rank() && adapter_->a.trained()) low_rank_backward(context, ids, dy);
  if (!rows() || !adapter_->rows.trained()) return;
  const std::int64_t width = dy.size(1);
  const std::int32_t* tokens = ids.data<std::int32_t>();
  for (std::int64_t n = 0; n < ids.count(); ++n) {
    const auto found = places().find(tokens[n]);
    if (found == places().end()) continue;
    float* row = adapter_->rows.gradient.data<float>() + found->second * width;
    for (std::int64_t c = 0; c < width; ++c) row[c] += dy.data<float>()[n * width + c];
  }
}

}  // namespace finetune
