// LinearLayers: the linear layers of a model with whatever an adapter adds to them, forward and backward. Borrows
// weights and adapters; what forward leaves for backward lies with the caller. Belongs to one thread. N tokens.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "finetune/model/dropout.h"
#include "finetune/model/linear_adapter.h"
#include "finetune/model/saved_modules.h"
#include "kernels/core/context.h"
#include "kernels/ops/lora.h"

namespace finetune {

/// What the seven layers of a block leave for backward, where they are adapted.
struct LinearActivations {
  std::array<kernels::Tensor, kLinearCount> low_rank;  // [N, r]; of a bottleneck [N, m], before its non-linearity
  std::array<kernels::Tensor, kLinearCount> plain;     // [N, out] before the magnitude, factors or bottleneck
};

/// How a pass computes.
struct LinearPass {
  bool training = false;  // dropout acts
  bool adapted = true;    // false: the bare base
  std::uint64_t dropout_seed = 0;
  bool continues = false;  // a sequence goes on: nothing that follows from the adapters' values has changed
};

class LinearLayers {
 public:
  /// `adapters` may be null or empty. Both must outlive the object.
  LinearLayers(ActiveWeights& weights, LinearAdapters* adapters);

  /// Before every forward pass.
  void begin(kernels::Context& context, const LinearPass& pass);
  /// y = beta y + layer(x).  x: [N, in]; y: [N, out].
  void forward(kernels::Context& context, std::size_t layer, LinearKind kind, const kernels::Tensor& x,
               LinearActivations& saved, kernels::Tensor& y, float beta = 0.0f);
  /// dx = beta dx + the layer's gradient; gradients of what is trained are added to.
  void backward(kernels::Context& context, std::size_t layer, LinearKind kind, const kernels::Tensor& dy,
                const kernels::Tensor& x, LinearActivations& saved, kernels::Tensor& dx, float beta = 0.0f);

 private:
  // One layer of one pass: its weight, what is added to it, and what forward left for backward.
  struct Place {
    LinearWeight& weight;
    LinearAdapter& adapter;
    std::size_t number;  // layer * 7 + kind
    kernels::Tensor &low_rank, &plain;
  };
  LinearAdapter* adapter_of(std::size_t layer, LinearKind kind);
  Dropout dropout(const Place& place) const;
  kernels::LoraOptions options(const Place& place) const;
  void make_norms(kernels::Context& context);

  void low_rank_forward(kernels::Context& context, Place& place, const kernels::Tensor& x, kernels::Tensor& y,
                        float beta);
  void low_rank_backward(kernels::Context& context, Place& place, const kernels::Tensor& dy, const kernels::Tensor& x,
                         kernels::Tensor& dx, float beta);
  void add_low_rank(kernels::Context& context, Place& place, const kernels::Tensor& x, kernels::Tensor& sum);
  void magnitude_forward(kernels::Context& context, const Place& place, kernels::Tensor& y, float beta);
  kernels::Tensor& magnitude_backward(kernels::Context& context, Place& place, const kernels::Tensor& dy);
  void dropped_forward(kernels::Context& context, Place& place, const kernels::Tensor& x, kernels::Tensor& y,
                       float beta);
  void dropped_backward(kernels::Context& context, Place& place, const kernels::Tensor& dy, const kernels::Tensor& x,
                        kernels::Tensor& dx, float beta);
  void factors_forward(kernels::Context& context, Place& place, const kernels::Tensor& x, kernels::Tensor& y,
                       float beta);
  void factors_backward(kernels::Context& context, Place& place, const kernels::Tensor& dy, const kernels::Tensor& x,
                        kernels::Tensor& dx, float beta);
  void bottleneck_forward(kernels::Context& context, Place& place, const kernels::Tensor& x, kernels::Tensor& y,
                          float beta);
  void bottleneck_backward(kernels::Context& context, Place& place, const kernels::Tensor& dy, kernels::Tensor& dx,
                           float beta);

  ActiveWeights& weights_;
  LinearAdapters* adapters_;
  LinearPass pass_;
  std::vector<kernels::Tensor> inverse_norms_;  // [out] of layer * 7 + kind; DoRA only
  kernels::Tensor factor_, dplain_, dropped_, undropped_, start_, inner_, dinner_;
};

}  // namespace finetune
