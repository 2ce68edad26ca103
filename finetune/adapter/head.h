// Head: K outputs from a document's final hidden states: the last token's beside the mean over the document. It never
// sees the raw fields. Gradients accumulate. Belongs to one thread. Letters: B documents, H hidden, K outputs.
#pragma once

#include <vector>

#include "finetune/model/packed_batch.h"
#include "finetune/model/weights.h"
#include "kernels/core/context.h"

namespace finetune {

class Head {
 public:
  Head(std::int64_t outputs, std::int64_t hidden_size, kernels::Random& random);
  /// [B, K], valid until the next call.
  kernels::Tensor& forward(kernels::Context& context, const PackedBatch& batch, const kernels::Tensor& hidden);
  /// dhidden: [N, H], =.
  void backward(kernels::Context& context, const PackedBatch& batch, const kernels::Tensor& doutput,
                kernels::Tensor& dhidden);
  /// "head.weight" [K, 2 H] and "head.bias" [K].
  std::vector<Weight*> weights() { return {&weight_, &bias_}; }
  void make_trainable();
  /// All weights 0: the outputs are those of the side network until a step was made.
  void start_at_zero();

 private:
  Weight weight_, bias_;
  kernels::Tensor features_, output_;
};

}  // namespace finetune
