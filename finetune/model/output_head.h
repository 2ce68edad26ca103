// OutputHead: the weight that turns hidden states into logits, with what an adapter adds. A low-rank adapter, and token
// rows that a tied head shares, are added to a copy of the weight before each pass, since the loss takes the head as
// one matrix; its gradient is handed on to them. Borrows all. Belongs to one thread. V vocabulary, H hidden, R rank.
#pragma once

#include "finetune/model/linear_adapter.h"
#include "finetune/model/saved_modules.h"
#include "kernels/core/context.h"

namespace finetune {

class OutputHead {
 public:
  /// `adapter` (a and b alone, no dropout) and `embedding` may be null. All must outlive the object.
  OutputHead(ActiveWeights& weights, LinearAdapter* adapter, EmbeddingAdapter* embedding)
      : weights_(weights), adapter_(adapter), embedding_(embedding) {}

  /// Before every forward pass; `continues` as in LinearPass.
  void begin(kernels::Context& context, bool adapted, bool continues);
  /// [V, H].
  const kernels::PackedWeight& weight() { return composed_ ? packed_ : weights_.head().packed; }
  /// Where the weight's gradient is to be added; null if nothing of the head is trained.
  kernels::Tensor* gradient();
  /// Hands the gradient on, after the loss has added it.
  void backward(kernels::Context& context);

 private:
  void low_rank_backward(kernels::Context& context);

  ActiveWeights& weights_;
  LinearAdapter* adapter_;
  EmbeddingAdapter* embedding_;
  bool composed_ = false;
  bool low_rank_ = false, rows_ = false;
  kernels::Tensor value_, gradient_;
  kernels::PackedWeight packed_;
};

}  // namespace finetune
