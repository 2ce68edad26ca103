#include "finetune/model/packed_batch.h"

#include <vector>

namespace finetune {

PackedBatch pack_documents(std::span<const std::span<const std::int32_t>> documents) {
  std::vector<std::int32_t> ids, positions, slots, borders{0};
  for (const auto document : documents) {
    for (std::size_t i = 0; i < document.size(); ++i) {
      if (document[i] < 0) slots.push_back(static_cast<std::int32_t>(ids.size()));
      ids.push_back(document[i]);
      positions.push_back(static_cast<std::int32_t>(i));
    }
    borders.push_back(static_cast<std::int32_t>(ids.size()));
  }
  PackedBatch batch;
  batch.ids = kernels::Tensor::from(ids);
  batch.positions = kernels::Tensor::from(positions);
  batch.cu_seqlens = kernels::Tensor::from(borders);
  batch.slot_rows = kernels::Tensor::from(slots);
  return batch;
}

}  // namespace finetune
