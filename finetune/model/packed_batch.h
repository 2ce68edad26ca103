// PackedBatch: documents laid end to end, each seeing only itself and counting its positions from 0.
// Plain value; belongs to one thread.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/core/tensor.h"

namespace finetune {

struct PackedBatch {
  kernels::Tensor ids{kernels::Shape{0}, kernels::DataType::kInt32};         // [N]; -1 where a slot embedding stands
  kernels::Tensor positions{kernels::Shape{0}, kernels::DataType::kInt32};   // [N]
  kernels::Tensor cu_seqlens{kernels::Shape{0}, kernels::DataType::kInt32};  // [B + 1] prefix sums
  kernels::Tensor slot_rows{kernels::Shape{0}, kernels::DataType::kInt32};   // [S] rows of the slots, ascending

  std::int64_t token_count() const { return ids.count(); }
  std::int64_t slot_count() const { return slot_rows.count(); }
  std::int64_t document_count() const { return cu_seqlens.count() - 1; }
};

/// Lays the documents end to end; negative ids become slots.
PackedBatch pack_documents(std::span<const std::span<const std::int32_t>> documents);

}  // namespace finetune
