// LinearLayers: the linear layers of a model with whatever an adapter adds to them, forward and backward. Borrows
// weights and adapters; what forward leaves for backward lies with the caller. Belongs to one thread. N tokens.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "finetune/model/linear_adapter.h"
#include "kernels/core/context.h"
#include "kernels/ops/lora.h"

namespace finetune {

/// What the seven layers of a block leave for backward, where they are adapted.
struct LinearActivations {
  std::array<kernels::Tensor, kLinearCount> low_rank;  // [N, r]
  std::array<kernels::Tensor, kLinearCount> plain;     // [N, out] before the magnitude; DoRA only
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
  LinearLayers(ModelWeights& weights, LinearAdapters* adapters);

  /// Before every forward pass.
  void begin(kernels::Context& context, const LinearPass& pass);
  /// y = beta y + layer(x).  x: [N, in]; y: [N, out].
  void forward(kernels::Context& context, std::size_t layer, LinearKind kind, const kernels::Tensor& x,
               LinearActivations& saved, kernels::Tensor& y, float beta = 0.0f);
  /// dx = beta dx + the layer's gradient; gradients of what is trained are added to.
  void backward(kernels::Context& context, std::size_t layer, LinearKind kind, const kernels::Tensor& dy,
                const kernels::Tensor& x, LinearActivations& saved, kernels::Tensor& dx, float beta = 0.0f);

 private:
  LinearAdapter* adapter_of(std::size_t layer, LinearKind kind);
  kernels::LoraOptions options(std::size_t layer, LinearKind kind, const LinearAdapter& adapter) const;
  void magnitude_forward(kernels::Context& context, std::size_t place, const LinearAdapter& adapter,
                         const kernels::Tensor& plain, kernels::Tensor& y, float beta);
  kernels::Tensor& magnitude_backward(kernels::Context& context, std::size_t place, LinearAdapter& adapter,
                                      const kernels::Tensor& dy, const kernels::Tensor& plain);
  void make_norms(kernels::Context& context);

  ModelWeights& weights_;
  LinearAdapters* adapters_;
  LinearPass pass_;
  std::vector<kernels::Tensor> inverse_norms_;  // [out] of layer * 7 + kind; DoRA only
  kernels::Tensor factor_, dplain_;
};

}  // namespace finetune
