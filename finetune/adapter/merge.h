// Merging: a base with a text adapter added to its weights, as a plain model folder that needs no adapter, and taking
// it off again. Every file of the base comes along as it is, every tensor in its own type. One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

#include "finetune/model/adapter.h"

namespace finetune {

struct MergeRequest {
  std::filesystem::path base_folder;  // for unmerge_adapter: the merged model
  std::filesystem::path adapter_folder;
  std::filesystem::path output_folder;  // must not be there, or be empty
  /// kInt8, kNf4 or kNf4Nested: the linear layers are merged as a base that is held in so few bits would be, and the
  /// values that such a base then computes with are written. Absent: into the base's own weights.
  std::optional<WeightPrecision> few_bits;
  int threads = 0;                                       // 0 = one per core
  std::function<void(std::string_view stage)> on_stage;  // told what begins; may be empty
};

/// Writes the whole folder or nothing, and tells what rounding has cost. A head that was tied and is no longer the same
/// becomes a weight of its own, in config.json too. Throws kConflict where the output holds something, kInvalidInput
/// for an adapter with a sensor encoder, a head or a bottleneck, which a plain model cannot hold, and otherwise as
/// load_adapter does: base, tokenizer, hashes and probe are checked.
MergedWeights merge_adapter(const MergeRequest& request);

/// The base again, but for what two roundings leave. Throws kInvalidInput for what cannot be undone (see
/// Adapter::unmerge_from), kConflict where the result does not answer the adapter's probe as its bare base did.
MergedWeights unmerge_adapter(const MergeRequest& request);

}  // namespace finetune
