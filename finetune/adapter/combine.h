// Combining: several LoRA adapters of one base weighted into one, with the meaning of PEFT's add_weighted_adapter:
//   linear  A = sum of sqrt(|w s|) sign(w s) A_i, B = sum of sqrt(|w s|) B_i; all of one rank. Cheap, but it multiplies
//           the A of one with the B of another as well.
//   cat     A = [w_1 s_1 A_1; w_2 s_2 A_2; ...], B = [B_1, B_2, ...]: the weighted sum itself, at the sum of the ranks.
//   svd     the best approximation of the weighted sum at `svd_rank`, which is exact where the rank suffices.
// The result has scale 1 (lora_alpha = r). One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/formats/peft.h"

namespace finetune {

enum class CombinationType { kLinear, kCat, kSvd };
CombinationType combination_type_from(std::string_view name);  // "linear", "cat", "svd"; throws kInvalidInput

struct WeightedAdapter {
  const PeftAdapter* adapter = nullptr;
  double weight = 1;
};

/// `svd_rank`: 0 = the largest of the adapters'. Throws kInvalidInput for another kind than plain LoRA, for ranks that
/// differ with kLinear, and for less than one adapter.
PeftAdapter combined(const std::vector<WeightedAdapter>& adapters, CombinationType type, int svd_rank);

struct CombineRequest {
  std::filesystem::path base_folder;
  std::vector<std::filesystem::path> adapter_folders;
  std::vector<double> weights;  // one an adapter
  CombinationType type = CombinationType::kCat;
  int svd_rank = 0;
  std::filesystem::path output_folder;  // an adapter there is replaced
  int threads = 0;
  std::function<void(std::string_view stage)> on_stage;
};

/// Writes the adapter folder, with a probe of its own from the first adapter's examples, and returns its digest. Throws
/// as load_adapter does for each adapter, kInvalidInput for one with a sensor encoder or head, kConflict where the
/// weighted adapters cancel out.
std::string combine_adapters(const CombineRequest& request);

}  // namespace finetune
