// LoRA adapters in PEFT's own files: adapter_config.json and adapter_model.safetensors, read and written so that PEFT
// and vLLM load ours and we load theirs. Plain and rank-stabilised LoRA, DoRA, a bias on B; every setting that changes
// the mathematics in another way is refused by name. Values; any thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/core/tensor.h"
#include "platform/base/json.h"

namespace finetune {

struct LoraConfig {
  int r = 8;
  double lora_alpha = 8;
  double lora_dropout = 0;
  /// Module name endings ("q_proj"); empty where target_pattern is given.
  std::vector<std::string> target_modules;
  /// A regular expression that must match the whole module name, or "all-linear"; empty where target_modules is given.
  std::string target_pattern;
  std::vector<std::string> exclude_modules;
  /// Layer indices that are adapted; empty = all.
  std::vector<int> layers_to_transform;
  /// alpha / sqrt(r) instead of alpha / r.
  bool use_rslora = false;
  /// A trained magnitude for each row of the adapted weight (DoRA).
  bool use_dora = false;
  /// A trained bias behind B.
  bool lora_bias = false;
  /// Expression matched against the end of a module name -> r or alpha for it; the first match counts.
  std::vector<std::pair<std::string, int>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::string base_model_name_or_path;
  std::string task_type = "CAUSAL_LM";

  /// Throws kInvalidInput naming the first field out of range.
  void validate() const;
  /// Whether this linear layer ("model.layers.0.self_attn.q_proj", without "base_model.model.") gets an adapter.
  bool targets(std::string_view module) const;
  int rank_of(std::string_view module) const;
  /// s in y = W x + s B A x.
  double scaling_of(std::string_view module) const;
};

/// What an adapter holds for one linear layer; `b_bias` and `magnitude` are empty where the configuration has none.
struct LoraWeights {
  kernels::Tensor a;          // [r, in]
  kernels::Tensor b;          // [out, r]
  kernels::Tensor b_bias;     // [out]
  kernels::Tensor magnitude;  // [out]
};

/// The same, owned by somebody else; null where there is none.
struct LoraTensors {
  const kernels::Tensor* a = nullptr;
  const kernels::Tensor* b = nullptr;
  const kernels::Tensor* b_bias = nullptr;
  const kernels::Tensor* magnitude = nullptr;
};

/// A whole adapter: the key is the module's name in the base, without "base_model.model.".
struct PeftAdapter {
  LoraConfig config;
  std::map<std::string, LoraWeights> modules;
};

/// Reads the content of adapter_config.json. Throws kInvalidInput naming every key that is not supported with its
/// value.
LoraConfig lora_config_from_json(const platform::json::value& document);
/// The classic set of keys, always in the same order.
platform::json::object to_json(const LoraConfig& config);

/// Reads and checks an adapter folder: every tensor has its partner, ranks agree with the config, names are targeted by
/// it, values are finite. Tensors come as float32. Throws kNotFound, kInvalidInput or kCorrupt.
PeftAdapter read_peft_adapter(const std::filesystem::path& folder);
/// Writes both files, each atomically; equal adapters give equal bytes.
void write_peft_adapter(const std::filesystem::path& folder, const LoraConfig& config,
                        const std::map<std::string, LoraTensors>& modules);
/// The same for tensors that the adapter owns.
void write_peft_adapter(const std::filesystem::path& folder, const PeftAdapter& adapter);

}  // namespace finetune
