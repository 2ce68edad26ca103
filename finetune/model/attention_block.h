// AttentionBlock: projections, norms of queries and keys, rotation and softmax attention of one layer, forward and
// backward. Borrows everything but the gradients' memory. Belongs to one thread. N tokens, H hidden.
#pragma once

#include "finetune/model/key_value_cache.h"
#include "finetune/model/linear_layers.h"
#include "finetune/model/packed_batch.h"
#include "finetune/model/rotary_tables.h"
#include "kernels/ops/attention.h"

namespace finetune {

/// What forward leaves for backward.
struct AttentionActivations {
  kernels::Tensor query, key, value;     // [N, heads * D], as attention reads them
  kernels::Tensor raw_query, raw_key;    // before their norms, where the family has them
  kernels::Tensor query_rstd, key_rstd;  // [N * heads]
  kernels::Tensor attended, log_sum;     // [N, heads * D], [N, heads]
};

class AttentionBlock {
 public:
  AttentionBlock(const ModelConfig& config, ModelWeights& base, ActiveWeights& weights, LinearLayers& linears,
                 const RotaryTables& rotaries)
      : config_(config), base_(base), weights_(weights), linears_(linears), rotaries_(rotaries) {}

  /// y = beta y + attention(x).  x, y: [N, H]. With a cache the batch's single document continues it.
  void forward(kernels::Context& context, std::size_t layer, const PackedBatch& batch, const kernels::Tensor& x,
               AttentionActivations& saved, LinearActivations& linears, KeyValueCache* cache, kernels::Tensor& y,
               float beta);
  /// dx = the gradient of x.
  void backward(kernels::Context& context, std::size_t layer, const PackedBatch& batch, const kernels::Tensor& dy,
                const kernels::Tensor& x, AttentionActivations& saved, LinearActivations& linears, kernels::Tensor& dx);

 private:
  void project(kernels::Context& context, std::size_t layer, const kernels::Tensor& x, AttentionActivations& saved,
               LinearActivations& linears);
  void attend_cached(kernels::Context& context, std::size_t layer, AttentionActivations& saved, KeyValueCache& cache);
  void norm_backward(kernels::Context& context, Weight& weight, const kernels::Tensor& raw, const kernels::Tensor& rstd,
                     kernels::Tensor& gradient);
  kernels::AttentionOptions options(std::size_t layer) const;
  kernels::Shape query_shape(std::int64_t tokens) const { return {tokens, config_.head_count, config_.head_dim}; }
  kernels::Shape key_shape(std::int64_t tokens) const {
    return {tokens, config_.key_value_head_count, config_.head_dim};
  }

  const ModelConfig& config_;
  ModelWeights& base_;
  ActiveWeights& weights_;
  LinearLayers& linears_;
  const RotaryTables& rotaries_;
  kernels::Tensor dattended_, dquery_, dkey_, dvalue_;
};

}  // namespace finetune
