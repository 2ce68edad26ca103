// A checkpoint: tensors and a JSON state in one safetensors file, replaced by one rename, so that a kill at any instant
// leaves the old or the new one. One writer.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "kernels/core/tensor.h"
#include "platform/base/json.h"

namespace finetune {

/// Its name in the folder of a run.
inline constexpr const char* kCheckpointName = "checkpoint.safetensors";

struct Checkpoint {
  std::map<std::string, kernels::Tensor> tensors;
  platform::json::object state;
};

void save_checkpoint(const std::filesystem::path& file, const std::map<std::string, const kernels::Tensor*>& tensors,
                     const platform::json::object& state);
/// nullopt if there is none. Throws kCorrupt when it cannot be read, kConflict when its "request" differs from
/// `request`.
std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& file, std::string_view request);

}  // namespace finetune
