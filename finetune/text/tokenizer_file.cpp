#include "finetune/text/tokenizer_file.h"

#include "finetune/text/token_id.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;

// Ids of a vocabulary may have gaps, but no more of them than this.
constexpr std::size_t kMaxUnusedIds = 65'536;

void read_added_tokens(TokenizerFile& file, const json::object& root) {
  const json::value* list = platform::find(root, "added_tokens");
  if (!list) return;
  for (const json::value& value : platform::as_array(*list, "added_tokens")) {
    const json::object& object = platform::as_object(value, "added_tokens");
    AddedToken token;
    token.content = platform::require_string(object, "content", "added_tokens");
    check_token_length(token.content);
    token.id = checked_token_id(platform::require(object, "id", "added_tokens"), token.content);
    token.single_word = platform::bool_or(object, "single_word", false, "added_tokens");
    token.lstrip = platform::bool_or(object, "lstrip", false, "added_tokens");
    token.rstrip = platform::bool_or(object, "rstrip", false, "added_tokens");
    token.special = platform::bool_or(object, "special", false, "added_tokens");
    token.normalized = platform::bool_or(object, "normalized", !token.special, "added_tokens");
    const auto known = file.vocabulary.find(token.content);
    if (known != file.vocabulary.end() && known->second != token.id) {
      corrupt_tokenizer("added token '" + token.content + "' has the id " + std::to_string(token.id) +
                        ", the vocabulary says " + std::to_string(known->second));
    }
    file.added_tokens.push_back(std::move(token));
  }
}

// The tables are as long as the highest id: a small file must not ask for a large one.
void check_gaps(const TokenizerFile& file) {
  const std::size_t limit = file.vocabulary.size() + file.added_tokens.size() + kMaxUnusedIds;
  const auto check = [&](std::int32_t id, std::string_view token) {
    if (static_cast<std::size_t>(id) < limit) return;
    corrupt_tokenizer("token '" + std::string(token) + "' has the id " + std::to_string(id) + " in a vocabulary of " +
                      std::to_string(file.vocabulary.size() + file.added_tokens.size()) + " tokens");
  };
  for (const auto& [token, id] : file.vocabulary) check(id, token);
  for (const AddedToken& token : file.added_tokens) check(token.id, token.content);
}

// The template's ids are of this file.
void check_template(const TokenizerFile& file) {
  std::vector<bool> known;
  const auto add = [&](std::int32_t id) {
    const auto at = static_cast<std::size_t>(id);
    if (known.size() <= at) known.resize(at + 1);
    known[at] = true;
  };
  for (const auto& [token, id] : file.vocabulary) add(id);
  for (const AddedToken& token : file.added_tokens) add(token.id);
  for (const auto* ids : {&file.post_processor.prefix(), &file.post_processor.suffix()}) {
    for (const std::int32_t id : *ids) {
      if (static_cast<std::size_t>(id) >= known.size() || !known[static_cast<std::size_t>(id)])
        corrupt_tokenizer("the template's id " + std::to_string(id) + " is no token's");
    }
  }
}

// A token's name: the string itself, or the content of an AddedToken object.
std::string token_name(const json::object& config, const char* key) {
  const json::value* value = platform::find(config, key);
  if (!value) return {};
  if (value->is_string()) return std::string(value->get_string());
  return platform::require_string(platform::as_object(*value, key), "content", key);
}

}  // namespace

TokenizerFile read_tokenizer_file(std::string_view tokenizer_json, std::string_view config_json) {
  const json::value document = platform::parse_json(tokenizer_json, "tokenizer.json");
  const json::object& root = platform::as_object(document, "tokenizer.json");
  const auto part = [&](std::string_view name) {
    const json::value* value = platform::find(root, name);
    return value ? *value : json::value();
  };
  TokenizerFile file{.normalizer = Normalizer(part("normalizer")),
                     .pre_tokenizer = PreTokenizer(part("pre_tokenizer")),
                     .post_processor = PostProcessor(part("post_processor")),
                     .decoder = Decoder(part("decoder"))};
  ReadModel read = read_token_model(platform::as_object(platform::require(root, "model", "tokenizer.json"), "model"),
                                    file.pre_tokenizer.byte_level());
  file.model = std::move(read.model);
  file.vocabulary = std::move(read.vocabulary);
  read_added_tokens(file, root);
  check_gaps(file);
  check_template(file);
  if (config_json.empty()) return file;
  const json::value config = platform::parse_json(config_json, "tokenizer_config.json");
  const json::object& settings = platform::as_object(config, "tokenizer_config.json");
  file.bos_token = token_name(settings, "bos_token");
  file.eos_token = token_name(settings, "eos_token");
  return file;
}

}  // namespace finetune
