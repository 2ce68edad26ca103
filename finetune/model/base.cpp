#include "finetune/model/base.h"

#include <algorithm>
#include <limits>

#include "finetune/formats/gguf_tokenizer.h"
#include "finetune/model/base_digest.h"
#include "finetune/model/gguf_weights.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;

// A chat base may end its turns with a token that config.json does not name.
std::vector<std::int32_t> read_answer_ends(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "generation_config.json";
  if (!std::filesystem::exists(path)) return {};
  const json::value document = platform::read_json_file(path);
  const json::value* ends = platform::find(platform::as_object(document, path.string()), "eos_token_id");
  if (ends == nullptr || ends->is_null()) return {};
  std::vector<std::int32_t> tokens;
  const auto add = [&](const json::value& token) {
    if (!token.is_int64() || token.get_int64() < 0 || token.get_int64() > std::numeric_limits<std::int32_t>::max())
      throw platform::Error(platform::ErrorCode::kInvalidInput,
                            path.string() + ": eos_token_id " + json::serialize(token) + " is no token's number",
                            "eos_token_id");
    tokens.push_back(static_cast<std::int32_t>(token.get_int64()));
  };
  if (const auto* list = ends->if_array()) {
    for (const json::value& token : *list) add(token);
  } else {
    add(*ends);
  }
  return tokens;
}

// A folder that is none, or none of a model, is said so before a file in it is missed.
void check_base_folder(const std::filesystem::path& base, const char* file) {
  const char* const kTake =
      "; give the folder of a model (config.json, tokenizer.json and safetensors), or a .gguf file";
  if (!std::filesystem::exists(base))
    throw platform::Error(platform::ErrorCode::kNotFound, "there is no base at " + base.string() + kTake, "base");
  if (!std::filesystem::is_directory(base))
    throw platform::Error(platform::ErrorCode::kInvalidInput, "the base is a file: " + base.string() + kTake, "base");
  if (!std::filesystem::exists(base / file))
    throw platform::Error(platform::ErrorCode::kNotFound,
                          "the base has no " + std::string(file) + ": " + base.string() + kTake, "base");
}

}  // namespace

ModelConfig read_base_config(const std::filesystem::path& base) {
  if (const auto gguf = gguf_of_base(base)) return gguf_model_config(GgufFile(*gguf));
  check_base_folder(base, "config.json");
  return read_model_config(base);
}

Tokenizer load_base_tokenizer(const std::filesystem::path& base) {
  const auto gguf = gguf_of_base(base);
  if (!gguf) {
    if (!std::filesystem::exists(base / "tokenizer.model")) check_base_folder(base, "tokenizer.json");
    return Tokenizer::load(base);
  }
  const TokenizerDocuments documents = tokenizer_documents(GgufFile(*gguf));
  return Tokenizer::from_json(documents.tokenizer_json, documents.config_json);
}

ChatEncoder load_base_chat(const std::filesystem::path& base) {
  const auto gguf = gguf_of_base(base);
  if (!gguf) return ChatEncoder::load(base);
  return ChatEncoder::of_config(platform::json::parse(tokenizer_documents(GgufFile(*gguf)).config_json),
                                gguf->string());
}

Base Base::load(const std::filesystem::path& folder, WeightPrecision precision) {
  ModelConfig config = read_base_config(folder);
  Tokenizer tokenizer = load_base_tokenizer(folder);
  if (tokenizer.vocabulary_size() > config.vocab_size) {
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "the tokenizer has " + std::to_string(tokenizer.vocabulary_size()) +
                              " tokens but the model only " + std::to_string(config.vocab_size) + ": " +
                              folder.string() + "; take the model's own tokenizer, or a model that was widened for it");
  }
  ModelWeights weights = load_weights(folder, config, precision);
  return {std::move(config),
          std::move(weights),
          std::move(tokenizer),
          base_folder_digest(folder),
          finetune::tokenizer_digest(folder),
          load_base_chat(folder),
          read_answer_ends(folder)};
}

std::vector<std::int32_t> Base::end_tokens() const {
  std::vector<std::int32_t> tokens = config.end_tokens;
  const auto add = [&](std::int32_t token) {
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
  };
  if (const auto end = tokenizer.eos_id()) add(*end);
  for (const std::int32_t token : answer_ends) add(token);
  return tokens;
}

}  // namespace finetune
