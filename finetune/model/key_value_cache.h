// KeyValueCache: keys and values of one sequence that is being continued. Plain memory; one thread. Where a model's
// angles follow from the length of the text, nothing that was computed holds once it grows beyond the original length:
// then the sequence itself is kept and computed anew.
#pragma once

#include <cstdint>
#include <vector>

#include "finetune/model/model_config.h"
#include "kernels/core/tensor.h"

namespace finetune {

struct KeyValueCache {
  std::vector<kernels::Tensor> keys, values;  // per layer [T_max, Hkv, D]
  std::int64_t length = 0;
  std::vector<std::int32_t> ids;  // of the whole sequence, -1 at slots; only where angles follow from the length
  kernels::Tensor slots;          // [S, H] of its slots

  KeyValueCache(const ModelConfig& config, std::int64_t capacity) {
    for (std::int64_t layer = 0; layer < config.layer_count; ++layer) {
      keys.emplace_back(kernels::Shape{capacity, config.key_value_head_count, config.head_dim});
      values.emplace_back(kernels::Shape{capacity, config.key_value_head_count, config.head_dim});
    }
  }
  /// Forgets what came after the first `kept` tokens, among which all slots are.
  void rewind(std::int64_t kept) {
    length = kept;
    if (!ids.empty()) ids.resize(static_cast<std::size_t>(kept));
  }
  std::int64_t capacity() const { return keys.front().size(0); }
};

}  // namespace finetune
