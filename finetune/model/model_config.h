// ModelConfig: the shape and the switches of one base model, resolved from a Hugging Face config.json by its row in
// families.cpp. Whatever a family does not have here is refused by name, never guessed. Plain value; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "finetune/model/rotary_config.h"
#include "finetune/model/tensor_names.h"
#include "kernels/ops/activation.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/rms_norm.h"
#include "platform/base/json.h"

namespace finetune {

/// What one block does otherwise than its neighbours.
struct LayerPlan {
  std::int64_t window = 0;  // tokens that a token sees, itself included; 0 = all before it
  int rotary = 0;           // index into ModelConfig::rotaries; -1 = no positions at all
};

struct ModelConfig {
  std::string model_type = "llama";
  std::int64_t vocab_size = 32000;
  std::int64_t hidden_size = 4096;
  std::int64_t intermediate_size = 11008;
  std::int64_t layer_count = 32;
  std::int64_t head_count = 32;
  std::int64_t key_value_head_count = 32;
  std::int64_t head_dim = 128;
  std::int64_t max_positions = 2048;
  bool tie_word_embeddings = false;
  std::vector<std::int32_t> end_tokens;  // empty: the tokenizer's end of text alone

  TensorNames names;
  float norm_epsilon = 1e-6f;
  bool norm_plus_one = false;         // every norm multiplies by 1 + weight
  bool query_key_value_bias = false;  // on the q, k and v projections
  bool output_bias = false;           // on the o projection
  bool feed_forward_bias = false;     // on gate, up and down
  kernels::Activation activation = kernels::Activation::kSilu;

  float embedding_multiplier = 1.0f;  // of the token embeddings
  float residual_multiplier = 1.0f;   // of a branch before it is added to the stream
  float attention_multiplier = 0.0f;  // of the scores; 0 = 1 / sqrt(head_dim)
  float attention_softcap = 0.0f;     // 0 = none
  float logit_multiplier = 1.0f;
  float logit_softcap = 0.0f;  // 0 = none

  std::vector<RotaryConfig> rotaries{RotaryConfig{}};
  std::vector<LayerPlan> layers;  // empty: every layer sees everything and turns by rotaries[0]
  platform::json::object source;  // the document that it was read from

  std::int64_t query_size() const { return head_count * head_dim; }
  std::int64_t key_value_size() const { return key_value_head_count * head_dim; }
  LayerPlan layer(std::size_t index) const { return layers.empty() ? LayerPlan{} : layers[index]; }
  bool query_key_norm() const { return !names.query_norm.empty(); }
  float attention_scale() const;
  bool has_bias(LinearKind kind) const;
  std::int64_t in_features(LinearKind kind) const;
  std::int64_t out_features(LinearKind kind) const;
  kernels::RmsNormOptions norm_options() const { return {.epsilon = norm_epsilon, .weight_plus_one = norm_plus_one}; }
  /// How hidden states become logits; `scale` is the losses'.
  kernels::LinearCrossEntropyOptions head_options(float scale = 1.0f) const;

  /// Throws kInvalidInput naming the first size that cannot be.
  void validate() const;
};

/// Reads both styles of config.json (transformers 4 and 5). Throws kInvalidInput for an unknown `model_type` (listing
/// the supported ones), a key that the family does not know here and that is not off, or an impossible size.
ModelConfig model_config_from_json(const platform::json::value& document);
ModelConfig read_model_config(const std::filesystem::path& folder);
/// The document that it was read from, with what may have changed since: vocabulary, end tokens, tied head.
platform::json::value to_json(const ModelConfig& config);

/// Every `model_type` in the family table, in alphabetical order.
std::vector<std::string> supported_model_types();

}  // namespace finetune
