// Merging: a base with a text adapter's LoRA added to its weights, as a plain model folder that needs no adapter. Every
// file of the base comes along as it is, every tensor in its own type. One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace finetune {

struct MergeRequest {
  std::filesystem::path base_folder;
  std::filesystem::path adapter_folder;
  std::filesystem::path output_folder;                   // must not be there, or be empty
  int threads = 0;                                       // 0 = one per core
  std::function<void(std::string_view stage)> on_stage;  // told what begins; may be empty
};

/// Writes the whole folder or nothing. Throws kConflict where the output holds something, kInvalidInput for an adapter
/// with a sensor encoder or a head, which a plain model cannot hold, and otherwise as load_adapter does: base,
/// tokenizer, hashes and probe are checked.
void merge_adapter(const MergeRequest& request);

}  // namespace finetune
