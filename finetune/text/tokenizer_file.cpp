#include "finetune/text/tokenizer_file.h"

#include <limits>

#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr std::int32_t kMaxId = 16'000'000;
// Ids of a vocabulary may have gaps, but no more of them than this.
constexpr std::size_t kMaxUnusedIds = 65'536;

[[noreturn]] void unsupported(const std::string& what, const std::string& path) {
  throw Error(ErrorCode::kInvalidInput, "tokenizer.json: " + what, path);
}

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(ErrorCode::kCorrupt, "tokenizer.json: " + what + "; fetch it again");
}

std::int32_t checked_id(std::int64_t id, std::string_view token) {
  if (id < 0 || id > kMaxId) corrupt("token '" + std::string(token) + "' has the id " + std::to_string(id));
  return static_cast<std::int32_t>(id);
}

void refuse_text(const json::object& model, const char* key) {
  if (!platform::string_or(model, key, "", "model").empty())
    unsupported(std::string("model.") + key + " is not supported", std::string("model.") + key);
}

std::pair<std::string, std::string> merge_halves(const json::value& merge) {
  if (merge.is_array() && merge.get_array().size() == 2 && merge.get_array()[0].is_string() &&
      merge.get_array()[1].is_string()) {
    return {std::string(merge.get_array()[0].get_string()), std::string(merge.get_array()[1].get_string())};
  }
  if (merge.is_string()) {
    const std::string text(merge.get_string());
    const std::size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  corrupt("a merge is not a pair of tokens: " + json::serialize(merge).substr(0, 80));
}

void read_merges(TokenizerFile& file, const json::object& model) {
  const auto id_of = [&](const std::string& token) {
    const auto found = file.vocabulary.find(token);
    if (found == file.vocabulary.end())
      corrupt("merges name a token that the vocabulary lacks: '" + token.substr(0, 80) + "'");
    return found->second;
  };
  for (const json::value& merge : platform::as_array(platform::require(model, "merges", "model"), "model.merges")) {
    const auto [left, right] = merge_halves(merge);
    file.merges.push_back({id_of(left), id_of(right), id_of(left + right)});
  }
}

void read_model(TokenizerFile& file, const json::object& model) {
  const std::string type = platform::string_or(model, "type", "BPE", "model");
  if (type != "BPE")
    unsupported("model '" + type + "' is not supported; supported is BPE at the byte level", "model.type");
  if (platform::number_or(model, "dropout", 0, "model") != 0)
    unsupported("model.dropout must be 0 or null", "model.dropout");
  refuse_text(model, "continuing_subword_prefix");
  refuse_text(model, "end_of_word_suffix");
  if (platform::bool_or(model, "byte_fallback", false, "model"))
    unsupported("model.byte_fallback (SentencePiece vocabularies) is not supported", "model.byte_fallback");
  file.ignore_merges = platform::bool_or(model, "ignore_merges", false, "model");
  file.fuse_unknown = platform::bool_or(model, "fuse_unk", false, "model");
  for (const auto& [token, id] : platform::as_object(platform::require(model, "vocab", "model"), "model.vocab")) {
    if (!id.is_int64()) corrupt("token '" + std::string(token) + "' has no whole number as its id");
    file.vocabulary.emplace(token, checked_id(id.get_int64(), token));
  }
  read_merges(file, model);
  const std::string unknown = platform::string_or(model, "unk_token", "", "model");
  if (unknown.empty()) return;
  const auto found = file.vocabulary.find(unknown);
  if (found == file.vocabulary.end()) corrupt("unk_token '" + unknown + "' is not in the vocabulary");
  file.unknown_id = found->second;
}

void read_added_tokens(TokenizerFile& file, const json::object& root) {
  const json::value* list = platform::find(root, "added_tokens");
  if (!list) return;
  for (const json::value& value : platform::as_array(*list, "added_tokens")) {
    const json::object& object = platform::as_object(value, "added_tokens");
    AddedToken token;
    token.content = platform::require_string(object, "content", "added_tokens");
    token.id = checked_id(platform::require_int(object, "id", "added_tokens"), token.content);
    token.single_word = platform::bool_or(object, "single_word", false, "added_tokens");
    token.lstrip = platform::bool_or(object, "lstrip", false, "added_tokens");
    token.rstrip = platform::bool_or(object, "rstrip", false, "added_tokens");
    token.special = platform::bool_or(object, "special", false, "added_tokens");
    token.normalized = platform::bool_or(object, "normalized", !token.special, "added_tokens");
    const auto known = file.vocabulary.find(token.content);
    if (known != file.vocabulary.end() && known->second != token.id) {
      corrupt("added token '" + token.content + "' has the id " + std::to_string(token.id) + ", the vocabulary says " +
              std::to_string(known->second));
    }
    file.added_tokens.push_back(std::move(token));
  }
}

void read_template(TokenizerFile& file, const json::object& object) {
  const json::object& specials = platform::as_object(platform::require(object, "special_tokens", "post_processor"),
                                                     "post_processor.special_tokens");
  bool behind = false;
  for (const json::value& item :
       platform::as_array(platform::require(object, "single", "post_processor"), "post_processor.single")) {
    const json::object& part = platform::as_object(item, "post_processor.single");
    if (part.contains("Sequence")) {
      if (behind) unsupported("the template names the text twice", "post_processor.single");
      behind = true;
      continue;
    }
    const json::object& named = platform::as_object(platform::require(part, "SpecialToken", "post_processor.single"),
                                                    "post_processor.single.SpecialToken");
    const std::string name = platform::require_string(named, "id", "post_processor.single");
    const json::object& special = platform::as_object(
        platform::require(specials, name, "post_processor.special_tokens"), "post_processor.special_tokens");
    for (const json::value& id : platform::as_array(platform::require(special, "ids", "post_processor.special_tokens"),
                                                    "post_processor.special_tokens.ids")) {
      if (!id.is_int64()) corrupt("the template's token '" + name + "' has no id");
      (behind ? file.suffix_ids : file.prefix_ids).push_back(checked_id(id.get_int64(), name));
    }
  }
  if (!behind) unsupported("the template leaves the text out", "post_processor.single");
}

void read_post_processor(TokenizerFile& file, const json::value* value) {
  if (!value) return;
  const json::object& object = platform::as_object(*value, "post_processor");
  const std::string type = platform::require_string(object, "type", "post_processor");
  if (type == "ByteLevel") return;  // changes offsets only
  if (type == "TemplateProcessing") return read_template(file, object);
  if (type != "Sequence") {
    unsupported("post_processor '" + type + "' is not supported; supported are ByteLevel, Sequence, TemplateProcessing",
                "post_processor.type");
  }
  for (const json::value& inner :
       platform::as_array(platform::require(object, "processors", "post_processor"), "post_processor.processors")) {
    read_post_processor(file, &inner);
  }
}

void check_decoder(const json::object& root) {
  const json::value* value = platform::find(root, "decoder");
  const std::string type =
      value ? platform::require_string(platform::as_object(*value, "decoder"), "type", "decoder") : "null";
  if (type != "ByteLevel")
    unsupported("decoder '" + type + "' is not supported; supported is ByteLevel", "decoder.type");
}

// The tables are as long as the highest id: a small file must not ask for a large one.
void check_gaps(const TokenizerFile& file) {
  const std::size_t limit = file.vocabulary.size() + file.added_tokens.size() + kMaxUnusedIds;
  const auto check = [&](std::int32_t id, std::string_view token) {
    if (static_cast<std::size_t>(id) < limit) return;
    corrupt("token '" + std::string(token) + "' has the id " + std::to_string(id) + " in a vocabulary of " +
            std::to_string(file.vocabulary.size() + file.added_tokens.size()) + " tokens");
  };
  for (const auto& [token, id] : file.vocabulary) check(id, token);
  for (const AddedToken& token : file.added_tokens) check(token.id, token.content);
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
  TokenizerFile file;
  if (const json::value* part = platform::find(root, "normalizer")) file.normalizer = *part;
  if (const json::value* part = platform::find(root, "pre_tokenizer")) file.pre_tokenizer = *part;
  read_model(file, platform::as_object(platform::require(root, "model", "tokenizer.json"), "model"));
  read_added_tokens(file, root);
  check_gaps(file);
  read_post_processor(file, platform::find(root, "post_processor"));
  check_decoder(root);
  if (config_json.empty()) return file;
  const json::value config = platform::parse_json(config_json, "tokenizer_config.json");
  const json::object& settings = platform::as_object(config, "tokenizer_config.json");
  file.bos_token = token_name(settings, "bos_token");
  file.eos_token = token_name(settings, "eos_token");
  return file;
}

}  // namespace finetune
