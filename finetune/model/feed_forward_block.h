// FeedForwardBlock: the gated feed-forward layer, down(act(gate(x)) * up(x)), forward and backward. Borrows everything
// but the gradients' memory. Belongs to one thread. N tokens, H hidden, I intermediate.
#pragma once

#include "finetune/model/linear_layers.h"

namespace finetune {

/// What forward leaves for backward, which overwrites `gate`.
struct FeedForwardActivations {
  kernels::Tensor gate, up, gated;  // [N, I]
};

class FeedForwardBlock {
 public:
  FeedForwardBlock(const ModelConfig& config, LinearLayers& linears) : config_(config), linears_(linears) {}

  /// y = beta y + layer(x).  x, y: [N, H].
  void forward(kernels::Context& context, std::size_t layer, const kernels::Tensor& x, FeedForwardActivations& saved,
               LinearActivations& linears, kernels::Tensor& y, float beta);
  /// dx = the gradient of x.
  void backward(kernels::Context& context, std::size_t layer, const kernels::Tensor& dy, const kernels::Tensor& x,
                FeedForwardActivations& saved, LinearActivations& linears, kernels::Tensor& dx);

 private:
  const ModelConfig& config_;
  LinearLayers& linears_;
  kernels::Tensor dgated_, dup_;
};

}  // namespace finetune
