#include "finetune/model/attention_block.h"

#include "kernels/ops/rms_norm.h"

namespace finetune {

using kernels::Context;
using kernels::Tensor;

kernels::AttentionOptions AttentionBlock::options(std::size_t layer) const {
  return {.scale = config_.attention_scale(),
          .softcap = config_.attention_softcap,
          .sliding_window = config_.layer(layer).window};
}

// Fills query, key and value as attention reads them: projected, normed, turned.
void AttentionBlock::project(Context& context, std::size_t layer, const Tensor& x, AttentionActivations& saved,
                             LinearActivations& linears) {
  const std::int64_t count = x.size(0);
  const bool normed = config_.query_key_norm();
  Tensor& query = normed ? saved.raw_query : saved.query;
  Tensor& key = normed ? saved.raw_key : saved.key;
  query.resize({count, config_.query_size()});
  key.resize({count, config_.key_value_size()});
  saved.value.resize({count, config_.key_value_size()});
  linears_.forward(context, layer, LinearKind::kQuery, x, linears, query);
  linears_.forward(context, layer, LinearKind::kKey, x, linears, key);
  linears_.forward(context, layer, LinearKind::kValue, x, linears, saved.value);
  if (normed) {
    Weight &query_norm = weights_.of(base_.layers[layer].query_norm),
           &key_norm = weights_.of(base_.layers[layer].key_norm);
    saved.query.resize(query.shape());
    saved.key.resize(key.shape());
    saved.query_rstd.resize({count * config_.head_count});
    saved.key_rstd.resize({count * config_.key_value_head_count});
    kernels::rms_norm_forward(context, query, query_norm.value, config_.norm_options(), saved.query, saved.query_rstd);
    kernels::rms_norm_forward(context, key, key_norm.value, config_.norm_options(), saved.key, saved.key_rstd);
  }
  const kernels::RotaryTable* table = rotaries_.of(config_.layer(layer));
  if (table == nullptr) return;
  Tensor turned_query = saved.query.view(query_shape(count)), turned_key = saved.key.view(key_shape(count));
  kernels::rotary_forward(context, *table, turned_query);
  kernels::rotary_forward(context, *table, turned_key);
}

void AttentionBlock::attend_cached(Context& context, std::size_t layer, AttentionActivations& saved,
                                   KeyValueCache& cache) {
  const std::int64_t count = saved.query.size(0);
  cache.keys[layer].slice_rows(cache.length, cache.length + count).copy_from(saved.key);
  cache.values[layer].slice_rows(cache.length, cache.length + count).copy_from(saved.value);
  std::vector<kernels::CachedSequence> sequences;
  for (std::int64_t row = 0; row < count; ++row)
    sequences.push_back({&cache.keys[layer], &cache.values[layer], cache.length + row + 1});
  Tensor attended = saved.attended.view(query_shape(count));
  kernels::attention_decode(context, saved.query.view(query_shape(count)), sequences, options(layer), attended);
}

void AttentionBlock::forward(Context& context, std::size_t layer, const PackedBatch& batch, const Tensor& x,
                             AttentionActivations& saved, LinearActivations& linears, KeyValueCache* cache, Tensor& y,
                             float beta) {
  const std::int64_t count = x.size(0);
  project(context, layer, x, saved, linears);
  saved.attended.resize({count, config_.query_size()});
  if (cache != nullptr) {
    attend_cached(context, layer, saved, *cache);
  } else {
    saved.log_sum.resize({count, config_.head_count});
    Tensor attended = saved.attended.view(query_shape(count));
    kernels::attention_forward(context, saved.query.view(query_shape(count)), saved.key.view(key_shape(count)),
                               saved.value.view(key_shape(count)), batch.cu_seqlens, options(layer), attended,
                               saved.log_sum);
  }
  linears_.forward(context, layer, LinearKind::kOutput, saved.attended, linears, y, beta);
}

void AttentionBlock::norm_backward(Context& context, Weight& weight, const Tensor& raw, const Tensor& rstd,
                                   Tensor& gradient) {
  kernels::rms_norm_backward(context, gradient, raw, weight.value, rstd, config_.norm_options(), gradient,
                             weight.gradient_or_null());
}

void AttentionBlock::backward(Context& context, std::size_t layer, const PackedBatch& batch, const Tensor& dy,
                              const Tensor& x, AttentionActivations& saved, LinearActivations& linears, Tensor& dx) {
  const std::int64_t count = x.size(0);
  dattended_.resize({count, config_.query_size()});
  dquery_.resize({count, config_.query_size()});
  dkey_.resize({count, config_.key_value_size()});
  dvalue_.resize({count, config_.key_value_size()});
  linears_.backward(context, layer, LinearKind::kOutput, dy, saved.attended, linears, dattended_);
  Tensor dquery = dquery_.view(query_shape(count)), dkey = dkey_.view(key_shape(count)),
         dvalue = dvalue_.view(key_shape(count));
  kernels::attention_backward(context, dattended_.view(query_shape(count)), saved.query.view(query_shape(count)),
                              saved.key.view(key_shape(count)), saved.value.view(key_shape(count)),
                              saved.attended.view(query_shape(count)), saved.log_sum, batch.cu_seqlens, options(layer),
                              dquery, dkey, dvalue);
  if (const kernels::RotaryTable* table = rotaries_.of(config_.layer(layer))) {
    kernels::rotary_backward(context, *table, dquery);
    kernels::rotary_backward(context, *table, dkey);
  }
  if (config_.query_key_norm()) {
    norm_backward(context, weights_.of(base_.layers[layer].query_norm), saved.raw_query, saved.query_rstd, dquery_);
    norm_backward(context, weights_.of(base_.layers[layer].key_norm), saved.raw_key, saved.key_rstd, dkey_);
  }
  linears_.backward(context, layer, LinearKind::kQuery, dquery_, x, linears, dx);
  linears_.backward(context, layer, LinearKind::kKey, dkey_, x, linears, dx, 1.0f);
  linears_.backward(context, layer, LinearKind::kValue, dvalue_, x, linears, dx, 1.0f);
}

}  // namespace finetune
