#include "finetune/model/transformer.h"

#include <cmath>
#include <cstring>

#include "kernels/ops/attention.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/swiglu.h"

namespace finetune {

using kernels::Context;
using kernels::Tensor;

KeyValueCache::KeyValueCache(const ModelConfig& config, std::int64_t capacity) {
  for (std::int64_t layer = 0; layer < config.layer_count; ++layer) {
    keys.emplace_back(kernels::Shape{capacity, config.key_value_head_count, config.head_dim});
    values.emplace_back(kernels::Shape{capacity, config.key_value_head_count, config.head_dim});
  }
}

Transformer::Transformer(const ModelConfig& config, ModelWeights& weights, Lora* lora)
    : config_(config), weights_(weights), lora_(lora), inverse_frequencies_(Tensor::from(inverse_frequencies(config))) {
  kept_.resize(static_cast<std::size_t>(config_.layer_count));
}

const LoraPair* Transformer::pair_of(std::size_t layer, LinearKind kind) const {
  return lora_ != nullptr && adapter_active_ ? static_cast<const Lora*>(lora_)->find(layer, kind) : nullptr;
}

kernels::LoraOptions Transformer::lora_options(std::size_t layer, LinearKind kind, float scaling) const {
  kernels::LoraOptions options;
  options.scaling = scaling;
  if (mode_ != ActivationMode::kNone) {
    options.dropout = static_cast<float>(lora_->config().lora_dropout);
    options.seed = kernels::random_bits(dropout_seed_, layer * kLinearCount + index_of(kind));
  }
  return options;
}

void Transformer::linear_forward(Context& context, std::size_t layer, LinearKind kind, const Tensor& x,
                                 BlockActivations& saved, Tensor& y, float beta) {
  kernels::linear(context, x, weights_.layers[layer].linears[index_of(kind)].packed, y, beta);
  const LoraPair* pair = pair_of(layer, kind);
  if (pair == nullptr) return;
  Tensor& low_rank = saved.low_rank[index_of(kind)];
  low_rank.resize({x.size(0), pair->a.value.size(0)});
  kernels::lora_forward(context, x, pair->a.value, pair->b.value, lora_options(layer, kind, pair->scaling), low_rank,
                        y);
}

void Transformer::linear_backward(Context& context, std::size_t layer, LinearKind kind, const Tensor& dy,
                                  const Tensor& x, BlockActivations& saved, Tensor& dx, float beta) {
  LinearWeight& weight = weights_.layers[layer].linears[index_of(kind)];
  kernels::linear_backward_input(context, dy, weight.packed, dx, beta);
  if (weight.trained()) kernels::linear_backward_weight(context, dy, x, weight.gradient);
  const LoraPair* pair = pair_of(layer, kind);
  if (pair == nullptr) return;
  LoraPair& trained = *lora_->find(layer, kind);
  kernels::lora_backward(context, dy, x, saved.low_rank[index_of(kind)], pair->a.value, pair->b.value,
                         lora_options(layer, kind, pair->scaling), trained.a.gradient, trained.b.gradient, &dx);
}

void Transformer::embed(Context& context, const PackedBatch& batch, const Tensor* slots) {
  stream_.resize({batch.token_count(), config_.hidden_size});
  kernels::embedding_forward(context, weights_.embedding.value, batch.ids, stream_);
  if (batch.slot_count() == 0) return;
  if (slots == nullptr)
    throw platform::Error(platform::ErrorCode::kInternal, "a batch with slots needs slot embeddings");
  kernels::scatter_rows(context, *slots, batch.slot_rows, stream_);
}

void Transformer::attend(Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                         KeyValueCache* cache) {
  const std::int64_t count = batch.token_count();
  Tensor query = saved.query.view({count, config_.head_count, config_.head_dim});
  Tensor key = saved.key.view({count, config_.key_value_head_count, config_.head_dim});
  Tensor value = saved.value.view({count, config_.key_value_head_count, config_.head_dim});
  Tensor attended = saved.attended.view(query.shape());
  kernels::rotary_forward(context, rotary_, query);
  kernels::rotary_forward(context, rotary_, key);
  kernels::AttentionOptions options;
  options.scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
  if (cache == nullptr) {
    saved.log_sum.resize({count, config_.head_count});
    kernels::attention_forward(context, query, key, value, batch.cu_seqlens, options, attended, saved.log_sum);
    return;
  }
  cache->keys[layer].slice_rows(cache->length, cache->length + count).copy_from(key);
  cache->values[layer].slice_rows(cache->length, cache->length + count).copy_from(value);
  std::vector<kernels::CachedSequence> sequences;
  for (std::int64_t row = 0; row < count; ++row) {
    sequences.push_back({&cache->keys[layer], &cache->values[layer], cache->length + row + 1});
  }
  kernels::attention_decode(context, query, sequences, options, attended);
}

void Transformer::block_forward(Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                                KeyValueCache* cache) {
  const LayerWeights& weights = weights_.layers[layer];
  const std::int64_t count = batch.token_count();
  const kernels::RmsNormOptions norm{.epsilon = config_.norm_epsilon};
  saved.input_normed.resize({count, config_.hidden_size});
  saved.input_rstd.resize({count});
  kernels::rms_norm_forward(context, stream_, weights.input_norm.value, norm, saved.input_normed, saved.input_rstd);
  saved.query.resize({count, config_.query_size()});
  saved.key.resize({count, config_.key_value_size()});
  saved.value.resize({count, config_.key_value_size()});
  saved.attended.resize({count, config_.query_size()});
  linear_forward(context, layer, LinearKind::kQuery, saved.input_normed, saved, saved.query);
  linear_forward(context, layer, LinearKind::kKey, saved.input_normed, saved, saved.key);
  linear_forward(context, layer, LinearKind::kValue, saved.input_normed, saved, saved.value);
  attend(context, layer, batch, saved, cache);
  linear_forward(context, layer, LinearKind::kOutput, saved.attended, saved, stream_, 1.0f);
  if (mode_ != ActivationMode::kNone) {
    saved.middle.resize({count, config_.hidden_size});
    saved.middle.copy_from(stream_);
  }
  saved.middle_normed.resize({count, config_.hidden_size});
  saved.middle_rstd.resize({count});
  kernels::rms_norm_forward(context, stream_, weights.post_attention_norm.value, norm, saved.middle_normed,
                            saved.middle_rstd);
  for (Tensor* tensor : {&saved.gate, &saved.up, &saved.gated}) tensor->resize({count, config_.intermediate_size});
  linear_forward(context, layer, LinearKind::kGate, saved.middle_normed, saved, saved.gate);
  linear_forward(context, layer, LinearKind::kUp, saved.middle_normed, saved, saved.up);
  kernels::swiglu_forward(context, saved.gate, saved.up, saved.gated);
  linear_forward(context, layer, LinearKind::kDown, saved.gated, saved, stream_, 1.0f);
}

void Transformer::finish(Context& context, const Tensor& stream) {
  hidden_.resize(stream.shape());
  final_rstd_.resize({stream.size(0)});
  kernels::rms_norm_forward(context, stream, weights_.final_norm.value, {.epsilon = config_.norm_epsilon}, hidden_,
                            final_rstd_);
}

const Tensor& Transformer::forward(Context& context, const PackedBatch& batch, const Tensor* slots,
                                   ActivationMode mode) {
  mode_ = mode;
  kernels::make_rotary_table(context, batch.positions, inverse_frequencies_, 1.0f, rotary_);
  embed(context, batch, slots);
  for (std::size_t layer = 0; layer < kept_.size(); ++layer) {
    if (mode != ActivationMode::kNone) {
      kept_[layer].input.resize(stream_.shape());
      kept_[layer].input.copy_from(stream_);
    }
    block_forward(context, layer, batch, mode == ActivationMode::kKeep ? kept_[layer] : scratch_, nullptr);
  }
  finish(context, stream_);
  return hidden_;
}

const Tensor& Transformer::forward_cached(Context& context, const PackedBatch& batch, const Tensor* slots,
                                          KeyValueCache& cache) {
  if (cache.length + batch.token_count() > cache.capacity()) {
    throw platform::Error(
        platform::ErrorCode::kTooLarge,
        "the sequence is longer than its room of " + std::to_string(cache.capacity()) + " tokens; shorten the prompt");
  }
  mode_ = ActivationMode::kNone;
  Tensor positions = batch.positions.clone();
  for (std::int32_t& position : positions.values<std::int32_t>()) position += static_cast<std::int32_t>(cache.length);
  kernels::make_rotary_table(context, positions, inverse_frequencies_, 1.0f, rotary_);
  embed(context, batch, slots);
  for (std::size_t layer = 0; layer < kept_.size(); ++layer) block_forward(context, layer, batch, scratch_, &cache);
  cache.length += batch.token_count();
  finish(context, stream_);
  return hidden_;
}

void Transformer::attention_block_backward(Context& context, std::size_t layer, const PackedBatch& batch,
                                           BlockActivations& saved, Tensor& dstream) {
  LayerWeights& weights = weights_.layers[layer];
  const std::int64_t count = batch.token_count();
  gradients_.attended.resize({count, config_.query_size()});
  gradients_.query.resize({count, config_.query_size()});
  gradients_.key.resize({count, config_.key_value_size()});
  gradients_.value.resize({count, config_.key_value_size()});
  linear_backward(context, layer, LinearKind::kOutput, dstream, saved.attended, saved, gradients_.attended);
  const kernels::Shape query_shape{count, config_.head_count, config_.head_dim};
  const kernels::Shape key_shape{count, config_.key_value_head_count, config_.head_dim};
  Tensor dquery = gradients_.query.view(query_shape);
  Tensor dkey = gradients_.key.view(key_shape);
  Tensor dvalue = gradients_.value.view(key_shape);
  kernels::AttentionOptions options;
  options.scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
  kernels::attention_backward(context, gradients_.attended.view(query_shape), saved.query.view(query_shape),
                              saved.key.view(key_shape), saved.value.view(key_shape), saved.attended.view(query_shape),
                              saved.log_sum, batch.cu_seqlens, options, dquery, dkey, dvalue);
  kernels::rotary_backward(context, rotary_, dquery);
  kernels::rotary_backward(context, rotary_, dkey);
  Tensor& dnormed = gradients_.hidden;
  linear_backward(context, layer, LinearKind::kQuery, gradients_.query, saved.input_normed, saved, dnormed);
  linear_backward(context, layer, LinearKind::kKey, gradients_.key, saved.input_normed, saved, dnormed, 1.0f);
  linear_backward(context, layer, LinearKind::kValue, gradients_.value, saved.input_normed, saved, dnormed, 1.0f);
  kernels::rms_norm_backward(context, dnormed, kept_[layer].input, weights.input_norm.value, saved.input_rstd,
                             {.epsilon = config_.norm_epsilon}, dstream,
                             weights.input_norm.trained() ? &weights.input_norm.gradient : nullptr, true);
}

void Transformer::block_backward(Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                                 Tensor& dstream) {
  LayerWeights& weights = weights_.layers[layer];
  gradients_.hidden.resize(dstream.shape());
  gradients_.gated.resize(saved.gated.shape());
  linear_backward(context, layer, LinearKind::kDown, dstream, saved.gated, saved, gradients_.gated);
  gradients_.up.resize(saved.up.shape());
  kernels::swiglu_backward(context, gradients_.gated, saved.gate, saved.up, saved.gate, gradients_.up);
  Tensor& dnormed = gradients_.hidden;
  linear_backward(context, layer, LinearKind::kGate, saved.gate, saved.middle_normed, saved, dnormed);
  linear_backward(context, layer, LinearKind::kUp, gradients_.up, saved.middle_normed, saved, dnormed, 1.0f);
  kernels::rms_norm_backward(context, dnormed, saved.middle, weights.post_attention_norm.value, saved.middle_rstd,
                             {.epsilon = config_.norm_epsilon}, dstream,
                             weights.post_attention_norm.trained() ? &weights.post_attention_norm.gradient : nullptr,
                             true);
  attention_block_backward(context, layer, batch, saved, dstream);
}

void Transformer::backward(Context& context, const PackedBatch& batch, Tensor& dhidden, Tensor* dslots) {
  if (mode_ == ActivationMode::kNone)
    throw platform::Error(platform::ErrorCode::kInternal, "backward without kept activations");
  kernels::rms_norm_backward(context, dhidden, stream_, weights_.final_norm.value, final_rstd_,
                             {.epsilon = config_.norm_epsilon}, dhidden,
                             weights_.final_norm.trained() ? &weights_.final_norm.gradient : nullptr, false);
  for (std::size_t layer = kept_.size(); layer-- > 0;) {
    if (mode_ == ActivationMode::kRecompute) {
      stream_.copy_from(kept_[layer].input);
      block_forward(context, layer, batch, scratch_, nullptr);
    }
    block_backward(context, layer, batch, mode_ == ActivationMode::kRecompute ? scratch_ : kept_[layer], dhidden);
  }
  if (weights_.embedding.trained())
    kernels::embedding_backward(context, batch.ids, dhidden, weights_.embedding.gradient);
  if (dslots != nullptr && batch.slot_count() > 0) {
    dslots->resize({batch.slot_count(), config_.hidden_size});
    kernels::gather_rows(context, dhidden, batch.slot_rows, *dslots);
  }
  mode_ = ActivationMode::kNone;
}

}  // namespace finetune
