#include "finetune/model/base.h"

#include <algorithm>

#include "finetune/formats/gguf_tokenizer.h"
#include "finetune/model/base_digest.h"
#include "finetune/model/gguf_weights.h"

namespace finetune {

ModelConfig read_base_config(const std::filesystem::path& base) {
  if (const auto gguf = gguf_of_base(base)) return gguf_model_config(GgufFile(*gguf));
  return read_model_config(base);
}

Tokenizer load_base_tokenizer(const std::filesystem::path& base) {
  const auto gguf = gguf_of_base(base);
  if (!gguf) return Tokenizer::load(base);
  const TokenizerDocuments documents = tokenizer_documents(GgufFile(*gguf));
  return Tokenizer::from_json(documents.tokenizer_json, documents.config_json);
}

Base Base::load(const std::filesystem::path& folder, WeightPrecision precision) {
  ModelConfig config = read_base_config(folder);
  Tokenizer tokenizer = load_base_tokenizer(folder);
  if (tokenizer.vocabulary_size() > config.vocab_size) {
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "the tokenizer has " + std::to_string(tokenizer.vocabulary_size()) +
                              " tokens but the model only " + std::to_string(config.vocab_size) + ": " +
                              folder.string());
  }
  ModelWeights weights = load_weights(folder, config, precision);
  return {std::move(config), std::move(weights), std::move(tokenizer), base_folder_digest(folder),
          finetune::tokenizer_digest(folder)};
}

std::vector<std::int32_t> Base::end_tokens() const {
  std::vector<std::int32_t> tokens = config.end_tokens;
  const auto end = tokenizer.eos_id();
  if (end && std::find(tokens.begin(), tokens.end(), *end) == tokens.end()) tokens.push_back(*end);
  return tokens;
}

}  // namespace finetune
