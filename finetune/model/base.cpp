#include "finetune/model/base.h"

#include <algorithm>

#include "finetune/model/base_digest.h"

namespace finetune {

Base Base::load(const std::filesystem::path& folder, WeightPrecision precision) {
  ModelConfig config = read_model_config(folder);
  Tokenizer tokenizer = Tokenizer::load(folder);
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
