// Adapters in PEFT's own files: adapter_config.json and adapter_model.safetensors, read and written so that PEFT and,
// for plain LoRA, vLLM and llama.cpp load ours and we load theirs. LoRA (rank-stabilised, DoRA, a bias on B; on linear
// layers, the token embedding and the head), IA3, weights kept whole (modules_to_save), trained token rows, and
// bottleneck adapters, which PEFT does not know. Every setting that changes the mathematics in another way is refused
// by name. Values; any thread.
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

/// LORA: y = W x + s B A x. IA3: y = l * (W x) or W (l * x). BOTTLENECK: y = W x + up(act(down(W x))), after Houlsby et
/// al. 2019.
enum class PeftType { kLora, kIa3, kBottleneck };
std::string_view to_string(PeftType type);       // "LORA", "IA3", "BOTTLENECK"
PeftType peft_type_from(std::string_view name);  // throws kInvalidInput

struct PeftConfig {
  PeftType type = PeftType::kLora;
  /// Module name endings ("q_proj"); empty where target_pattern is given.
  std::vector<std::string> target_modules;
  /// A regular expression that must match the whole module name, or "all-linear"; empty where target_modules is given.
  /// IA3 and bottlenecks with neither take their own usual layers.
  std::string target_pattern;
  std::vector<std::string> exclude_modules;
  /// Modules whose weights are trained and stored whole, by the ends of their names: "lm_head", "embed_tokens", "norm".
  std::vector<std::string> modules_to_save;
  /// Tokens whose rows of the embedding are trained; a tied head has the same rows.
  std::vector<int> trainable_token_indices;

  // LoRA
  int r = 8;
  double lora_alpha = 8;
  double lora_dropout = 0;
  /// Layer indices that are adapted; empty = all.
  std::vector<int> layers_to_transform;
  /// alpha / sqrt(r) instead of alpha / r.
  bool use_rslora = false;
  /// A trained magnitude for each row of the adapted weight (DoRA).
  bool use_dora = false;
  /// A trained bias behind B.
  bool lora_bias = false;
  /// How a training starts: "true" (A uniform, B zero), "gaussian" (A normal of deviation 1 / r), "pissa" or
  /// "pissa_niter_K" (the leading singular directions of W, exact or by K iterations). A file says "true" always: what
  /// pissa takes off the base is part of the stored adapter.
  std::string init_lora_weights = "true";
  /// Expression matched against the end of a module name -> r or alpha for it; the first match counts.
  std::vector<std::pair<std::string, int>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;

  /// IA3: the targets whose input is scaled; of the others the output is.
  std::vector<std::string> feedforward_modules;

  // Bottleneck
  int bottleneck_size = 64;
  std::string non_linearity = "silu";  // silu, gelu_new

  std::string base_model_name_or_path;
  std::string task_type = "CAUSAL_LM";

  /// Throws kInvalidInput naming the first field out of range.
  void validate() const;
  /// Whether this module ("model.layers.0.self_attn.q_proj", without "base_model.model.") gets an adapter.
  bool targets(std::string_view module) const;
  /// Whether its weights are trained whole. PEFT compares ends of names without regard to dots: "norm" is every norm.
  bool saves(std::string_view module) const;
  bool scales_input(std::string_view module) const;
  int rank_of(std::string_view module) const;
  /// s in y = W x + s B A x.
  double scaling_of(std::string_view module) const;
  /// The iterations of "pissa_niter_K", 0 for "pissa", -1 for another start.
  int pissa_iterations() const;
};

/// Whether `name` is the module's, or its end behind a dot, as entries of target_modules and exclude_modules are read.
bool names_module(std::string_view name, std::string_view module);
/// The same of an expression of rank_pattern or alpha_pattern.
bool expression_names_module(const std::string& expression, std::string_view module);

/// What an adapter holds for one module; what it lacks is empty. V vocabulary, H hidden, m the bottleneck's size.
struct PeftModule {
  kernels::Tensor a, b;                          // [r, in], [out, r]
  kernels::Tensor b_bias, magnitude;             // [out]
  kernels::Tensor embedding_a, embedding_b;      // [r, V], [H, r]
  kernels::Tensor token_rows;                    // [tokens, H]
  kernels::Tensor factors;                       // IA3: [out, 1], or [1, in] where the input is scaled
  kernels::Tensor down, down_bias, up, up_bias;  // [m, out], [m], [out, m], [out]
};

/// A whole adapter. Names are those of the base, without "base_model.model.".
struct PeftAdapter {
  PeftConfig config;
  std::map<std::string, PeftModule> modules;
  /// Weights kept whole, by their names: "lm_head.weight".
  std::map<std::string, kernels::Tensor> saved;
  /// Copies of the base's embedding or head that PEFT adds where these are adapted; read, never written.
  std::map<std::string, kernels::Tensor> base_copies;
};

/// Reads the content of adapter_config.json. Throws kInvalidInput naming every key that is not supported with its
/// value.
PeftConfig peft_config_from_json(const platform::json::value& document);
/// The classic set of keys, always in the same order.
platform::json::object to_json(const PeftConfig& config);

/// Reads and checks an adapter folder: every tensor has its partner, ranks agree with the config, names are targeted by
/// it, values are finite. Tensors come as float32. Throws kNotFound, kInvalidInput or kCorrupt.
PeftAdapter read_peft_adapter(const std::filesystem::path& folder);
/// Writes both files, each atomically; equal adapters give equal bytes.
void write_peft_adapter(const std::filesystem::path& folder, const PeftAdapter& adapter);

}  // namespace finetune
