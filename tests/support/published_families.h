// One tiny base of every family that transformers has itself: random weights in float32 and a tokenizer of bytes. For
// tests only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "finetune/model/base.h"
#include "platform/base/file.h"
#include "tests/support/byte_tokenizer.h"

namespace support {

struct PublishedFamily {
  const char* name;
  const char* switches;  // of config.json, over the sizes that all have; null takes one away
};

inline const std::vector<PublishedFamily>& published_families() {
  static const std::vector<PublishedFamily> kFamilies = {
      {"exaone35",
       R"({"architectures": ["ExaoneForCausalLM"], "model_type": "exaone", "num_hidden_layers": null, "num_layers": 2,
           "rms_norm_eps": null, "layer_norm_epsilon": 1e-5, "activation_function": "silu", "rope_theta": 1000000.0})"},
      {"exaone4",
       R"({"architectures": ["Exaone4ForCausalLM"], "model_type": "exaone4",
           "sliding_window": 8, "sliding_window_pattern": 2,
           "layer_types": ["sliding_attention", "full_attention"], "rope_theta": 1000000.0,
           "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                            "original_max_position_embeddings": 32}})"},
      {"gemma2",
       R"({"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "head_dim": 8, "sliding_window": 8,
           "layer_types": ["sliding_attention", "full_attention"], "query_pre_attn_scalar": 12,
           "hidden_activation": "gelu_pytorch_tanh",
           "attn_logit_softcapping": 20.0, "final_logit_softcapping": 30.0})"},
      {"gemma3",
       R"({"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "head_dim": 8, "sliding_window": 8,
           "layer_types": ["sliding_attention", "full_attention"], "query_pre_attn_scalar": 12,
           "hidden_activation": "gelu_pytorch_tanh",
           "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0})"},
      {"hyperclovax",
       R"({"architectures": ["HyperCLOVAXForCausalLM"], "model_type": "hyperclovax", "head_dim": 8,
           "embedding_multiplier": 2.0,
           "logits_scaling": 0.5, "residual_multiplier": 0.7, "attention_multiplier": 0.3, "use_post_norm": true})"},
      {"llama", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})"},
      {"mistral",
       R"({"architectures": ["MistralForCausalLM"], "model_type": "mistral", "head_dim": 8, "sliding_window": 8})"},
      {"qwen2", R"({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": false})"},
      {"qwen3", R"({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 8})"},
      {"smollm3",
       R"({"architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3",
           "no_rope_layers": [1, 0], "pad_token_id": 0,
           "use_sliding_window": false})"},
  };
  return kFamilies;
}

/// config.json as a publisher would write it.
inline platform::json::object published_config(const PublishedFamily& family, bool tied) {
  platform::json::object config{{"vocab_size", 256},           {"hidden_size", 24},
                                {"intermediate_size", 40},     {"num_hidden_layers", 2},
                                {"num_attention_heads", 4},    {"num_key_value_heads", 2},
                                {"rms_norm_eps", 1e-5},        {"max_position_embeddings", 128},
                                {"tie_word_embeddings", tied}, {"torch_dtype", "float32"},
                                {"bos_token_id", nullptr},     {"eos_token_id", nullptr}};
  const platform::json::value switches = platform::parse_json(family.switches, family.name);
  for (const auto& [key, value] : switches.as_object()) {
    config[key] = value;
    if (value.is_null()) config.erase(key);
  }
  return config;
}

/// Writes config.json, model.safetensors and the tokenizer into `folder`. Norms and biases are random too.
inline void write_published_family(const std::filesystem::path& folder, const PublishedFamily& family, bool tied,
                                   std::uint64_t seed = 3) {
  const platform::json::object document = published_config(family, tied);
  const finetune::ModelConfig config = finetune::model_config_from_json(document);
  kernels::Random random(seed);
  finetune::ModelWeights weights = finetune::random_weights(config, random);
  weights.for_each([&](finetune::Weight& weight) {
    const bool table = weight.value.rank() == 2 && weight.value.size(0) == config.vocab_size;
    for (float& value : weight.value.values<float>()) {
      if (weight.value.rank() == 2)
        value *= table ? 25.0f : 8.0f;
      else
        value += static_cast<float>(random.normal()) * 0.1f;
    }
  });
  finetune::save_model(folder, config, weights, kernels::DataType::kFloat32);
  platform::write_json_file(folder / "config.json", document);
  write_byte_tokenizer(folder);
}

}  // namespace support
