// EmbeddingLayer: token ids to the stream's first values, with what an adapter adds, forward and backward. Borrows
// weights and adapter. Belongs to one thread. N tokens, H hidden.
#pragma once

#include <unordered_map>

#include "finetune/model/linear_adapter.h"
#include "finetune/model/saved_modules.h"
#include "kernels/core/context.h"

namespace finetune {

class EmbeddingLayer {
 public:
  /// `adapter` may be null. Both must outlive the object.
  EmbeddingLayer(ActiveWeights& weights, EmbeddingAdapter* adapter) : weights_(weights), adapter_(adapter) {}

  /// Before every forward pass.
  void begin(bool adapted) { adapted_ = adapted; }
  /// y[n] = the adapted row of ids[n], zeros where that is negative.  ids: [N] int32; y: [N, H].
  void forward(kernels::Context& context, const kernels::Tensor& ids, kernels::Tensor& y);
  /// Adds the gradients of what is trained. After forward with the same ids.  dy: [N, H].
  void backward(kernels::Context& context, const kernels::Tensor& ids, const kernels::Tensor& dy);
  bool trained();

 private:
  bool low_rank() const { return adapted_ && adapter_ != nullptr && adapter_->a.present(); }
  bool rows() const { return adapted_ && adapter_ != nullptr && adapter_->rows.present(); }
  void low_rank_forward(kernels::Context& context, const kernels::Tensor& ids, kernels::Tensor& y);
  void low_rank_backward(kernels::Context& context, const kernels::Tensor& ids, const kernels::Tensor& dy);
  const std::unordered_map<std::int32_t, std::int64_t>& places();

  ActiveWeights& weights_;
  EmbeddingAdapter* adapter_;
  bool adapted_ = true;
  kernels::Tensor low_rank_;                               // [N, r]
  std::unordered_map<std::int32_t, std::int64_t> places_;  // token -> its row
};

}  // namespace finetune
