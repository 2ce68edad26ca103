// One tiny model of every family and of every kind of rotary embedding, with random weights that are alive. For tests
// only.
#pragma once

#include <string>

#include "finetune/model/model_config.h"
#include "finetune/model/weights.h"

namespace support {

/// What a family adds to the sizes of a tiny model. `name` is fit for the name of a test.
struct TinyFamily {
  const char* name;
  const char* settings;
};

inline constexpr TinyFamily kTinyFamilies[] = {
    {"Exaone",
     R"({"model_type": "exaone", "num_layers": 3, "activation_function": "silu", "layer_norm_epsilon": 1e-5})"},
    {"Exaone4", R"({"model_type": "exaone4", "sliding_window": 3, "sliding_window_pattern": "LLG"})"},
    {"Gemma2", R"({"model_type": "gemma2", "sliding_window": 3, "query_pre_attn_scalar": 5,
        "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "hidden_activation": "gelu_pytorch_tanh"})"},
    {"Gemma3", R"({"model_type": "gemma3_text", "sliding_window": 3, "sliding_window_pattern": 3,
        "query_pre_attn_scalar": 5})"},
    {"HyperClovaX", R"({"model_type": "hyperclovax", "embedding_multiplier": 2.0, "residual_multiplier": 0.6,
        "attention_multiplier": 0.3, "logits_scaling": 0.7, "use_post_norm": true, "mlp_bias": true})"},
    {"Llama", R"({"model_type": "llama"})"},
    {"LlamaYarn", R"({"model_type": "llama", "attention_bias": true, "mlp_bias": true,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4}})"},
    {"LlamaDynamic", R"({"model_type": "llama", "rope_scaling": {"rope_type": "dynamic", "factor": 2.0},
        "max_position_embeddings": 5})"},
    {"LlamaLong", R"({"model_type": "llama", "rope_scaling": {"rope_type": "longrope", "short_factor": [1.0, 1.1],
        "long_factor": [1.5, 3.0], "original_max_position_embeddings": 5}})"},
    {"Mistral", R"({"model_type": "mistral", "sliding_window": 3})"},
    {"Qwen2", R"({"model_type": "qwen2", "use_sliding_window": true, "sliding_window": 3, "max_window_layers": 1})"},
    {"Qwen3", R"({"model_type": "qwen3", "head_dim": 4})"},
    {"SmolLm3", R"({"model_type": "smollm3", "no_rope_layer_interval": 2})"}};

/// The rotary embedding of these turns otherwise in a longer document.
inline bool turns_by_length(const TinyFamily& family) {
  return std::string(family.name) == "LlamaDynamic" || std::string(family.name) == "LlamaLong";
}

inline finetune::ModelConfig family_config(const TinyFamily& family, std::int64_t vocabulary = 40) {
  platform::json::object document{
      {"vocab_size", vocabulary}, {"hidden_size", 16},        {"intermediate_size", 24}, {"num_hidden_layers", 3},
      {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"head_dim", 4},           {"rms_norm_eps", 1e-5}};
  const platform::json::value settings = platform::parse_json(family.settings, family.name);
  for (const auto& [key, value] : settings.as_object()) document[key] = value;
  if (document.at("model_type") == "exaone") {
    document.erase("rms_norm_eps");
    document.erase("num_hidden_layers");
  }
  return finetune::model_config_from_json(document);
}

/// Random weights ten times as large as those of a real start.
inline finetune::ModelWeights lively_weights(const finetune::ModelConfig& config, std::uint64_t seed = 3) {
  kernels::Random random(seed);
  finetune::ModelWeights weights = finetune::random_weights(config, random);
  weights.for_each([](finetune::Weight& weight) {
    if (weight.value.rank() != 2) return;
    for (float& value : weight.value.values<float>()) value *= 10.0f;
  });
  return weights;
}

}  // namespace support
