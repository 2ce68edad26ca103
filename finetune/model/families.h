// The family table: one row per model_type says which weights and switches it has, what its config.json calls them, and
// what holds where a key is missing. Facts: the models' configuration classes in transformers. Pure data.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "finetune/model/tensor_names.h"

namespace finetune {

enum class Bias { kNone, kByKey, kQueryKeyValue };  // kByKey: attention_bias; all four projections
enum class Windows {
  kNone,
  kAllLayers,    // all, where sliding_window is set
  kFromLayer,    // where use_sliding_window is on, those from max_window_layers on
  kPattern,      // all but every n-th, where sliding_window is set
  kWithoutTurn,  // where use_sliding_window is on, those without rotation
};
enum class Turns {
  kAllLayers,
  kWindowedLayers,  // those with a window; all where none has one
  kListed,          // no_rope_layers, or all but every n-th
  kTwo,             // layers with a window have frequencies of their own
};

/// One row.
struct Family {
  std::string_view model_type;
  std::string_view architecture;
  TensorNames names = {};
  Bias attention_bias = Bias::kNone;
  bool mlp_bias_key = false;
  Windows windows = Windows::kNone;
  Turns turns = Turns::kAllLayers;
  bool gemma = false;              // 1 + weight in norms, embeddings times sqrt(hidden_size), query_pre_attn_scalar,
                                   // final_logit_softcapping
  bool attention_softcap = false;  // attn_logit_softcapping
  bool multipliers = false;        // HyperCLOVA X's four
  // Where config.json does not say.
  double theta = 10000.0;
  double epsilon = 1e-6;
  std::int64_t head_dim = 0;        // 0 = hidden_size / heads
  std::int64_t sliding_window = 0;  // 0 = none
  std::int64_t window_every = 0;    // kPattern: the n-th layer sees everything
  bool tied = false;
  std::string_view activation = "silu";
  // What it calls common things.
  std::string_view layers_key = "num_hidden_layers";
  std::string_view epsilon_key = "rms_norm_eps";
  std::string_view activation_key = "hidden_act";
};

/// All rows, by model_type.
const std::vector<Family>& families();

}  // namespace finetune
