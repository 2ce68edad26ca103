// RotaryTables: the cosines and sines of one batch, one table for each of the model's ways to turn. Where the angles
// follow from the length of the text, each document has its own. Reuses its memory from batch to batch. One thread.
#pragma once

#include <vector>

#include "finetune/model/model_config.h"
#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/rotary.h"

namespace finetune {

class RotaryTables {
 public:
  explicit RotaryTables(const ModelConfig& config);

  /// positions: [N] int32; cu_seqlens: [B + 1] int32. The length of a document is its last position plus one.
  void make(kernels::Context& context, const kernels::Tensor& positions, const kernels::Tensor& cu_seqlens);
  /// Null where the layer does not turn.
  const kernels::RotaryTable* of(const LayerPlan& layer) const {
    return layer.rotary < 0 ? nullptr : &tables_[static_cast<std::size_t>(layer.rotary)];
  }

 private:
  void make_by_document(kernels::Context& context, std::size_t index, const kernels::Tensor& positions,
                        const kernels::Tensor& cu_seqlens);

  const ModelConfig& config_;
  std::vector<kernels::Tensor> frequencies_;  // [F] of each
  std::vector<kernels::RotaryTable> tables_;
};

}  // namespace finetune
