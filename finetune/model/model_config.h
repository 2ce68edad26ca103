// ModelConfig: the shape and the switches of one base model, read from a Hugging Face config.json. Families are data:
// the table in model_config.cpp has one row per `model_type`; whatever a row does not allow is refused by name, never
// guessed. Plain value; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace finetune {

/// Rotary frequencies after scaling; the scaled ones hold at every length.
struct RotaryConfig {
  double theta = 10000.0;
  std::string type = "default";  // default, linear, llama3
  double factor = 1.0;
  double low_frequency_factor = 1.0;        // llama3
  double high_frequency_factor = 4.0;       // llama3
  std::int64_t original_max_positions = 0;  // llama3
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
  float norm_epsilon = 1e-6f;
  RotaryConfig rotary;
  bool tie_word_embeddings = false;
  std::vector<std::int32_t> end_tokens;  // empty: the tokenizer's end of text alone

  std::int64_t query_size() const { return head_count * head_dim; }
  std::int64_t key_value_size() const { return key_value_head_count * head_dim; }

  /// Throws kInvalidInput naming the first size that cannot be.
  void validate() const;
};

/// Reads both styles of config.json (transformers 4 and 5). Throws kInvalidInput for an unknown `model_type` (listing
/// the supported ones), a switch that the family does not have here, or an impossible size.
ModelConfig model_config_from_json(const platform::json::value& document);
ModelConfig read_model_config(const std::filesystem::path& folder);
/// The config.json that transformers reads as the same model.
platform::json::value to_json(const ModelConfig& config);

/// Inverse frequencies, [head_dim / 2].
std::vector<float> inverse_frequencies(const ModelConfig& config);

/// Every `model_type` in the family table, in alphabetical order.
std::vector<std::string> supported_model_types();

}  // namespace finetune
