// Base: a frozen foundation model: configuration, weights and tokenizer of one folder, or of one GGUF file, with the
// digests that an adapter is bound to. Move-only; readers may share it.
#pragma once

#include <filesystem>
#include <string>

#include "finetune/model/model_config.h"
#include "finetune/model/weights.h"
#include "finetune/text/template/chat_encoder.h"
#include "finetune/text/tokenizer.h"

namespace finetune {

struct Base {
  ModelConfig config;
  ModelWeights weights;
  Tokenizer tokenizer;
  std::string digest;            // "sha256:...": config.json and weights
  std::string tokenizer_digest;  // "sha256:...": tokenizer files, chat template, answer_ends
  ChatEncoder chat;              // how it writes conversations
  /// Where generation_config.json says that an answer ends; empty without the file.
  std::vector<std::int32_t> answer_ends;

  /// Loads and checks everything. Throws as load_weights, read_model_config, Tokenizer::load and ChatEncoder::load do,
  /// and kInvalidInput when the tokenizer has more tokens than the model.
  static Base load(const std::filesystem::path& folder, WeightPrecision precision = WeightPrecision::kFloat32);
  /// Tokens that end a generation: the configuration's, the tokenizer's and answer_ends.
  std::vector<std::int32_t> end_tokens() const;
};

/// What a base's folder, or its GGUF file, says.
ModelConfig read_base_config(const std::filesystem::path& base);
Tokenizer load_base_tokenizer(const std::filesystem::path& base);
ChatEncoder load_base_chat(const std::filesystem::path& base);

}  // namespace finetune
