#include "finetune/formats/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <map>

#include "finetune/text/tokenizer.h"
#include "platform/base/error.h"
#include "platform/base/json.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr std::string_view kWholeFile = "tokenizer.huggingface.json";

// Kinds of tokens as the format numbers them.
enum TokenType : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kExaoneMoePattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigitGroups = R"(\p{N}{1,3})";

// One pre-tokenizer: its splits in order, and whether the byte alphabet's own pattern follows.
struct PreTokenizerName {
  std::string_view name;
  std::string_view pattern;  // of the one Split; empty: none
  bool digits_apart;         // each digit by itself, before anything else
  bool own_pattern;          // ByteLevel with use_regex
  bool ignore_merges;        // a word that is a token is taken whole
};
// The first row that fits gives the name; any row is found by its name.
constexpr std::array<PreTokenizerName, 11> kNames{{{"gpt-2", "", false, true, false},
                                                   {"smollm", "", true, true, false},
                                                   {"exaone", "", true, true, false},
                                                   {"a.x-4.0", "", false, true, false},
                                                   {"llama-bpe", kLlama3Pattern, false, false, true},
                                                   {"smaug-bpe", kLlama3Pattern, false, false, false},
                                                   {"qwen2", kQwen2Pattern, false, false, false},
                                                   {"exaone4", "", false, true, false},
                                                   {"qwen35", kQwen35Pattern, false, false, false},
                                                   {"exaone-moe", kExaoneMoePattern, false, false, false},
                                                   {"tekken", kTekkenPattern, false, false, true}}};

bool is_type(const json::object& object, std::string_view type) {
  const json::value* value = platform::find(object, "type");
  return value != nullptr && value->is_string() && value->get_string() == type;
}

// The parts of a pre-tokenizer, sequences unfolded.
std::vector<const json::object*> parts_of(const json::value* pre_tokenizer) {
  if (pre_tokenizer == nullptr || !pre_tokenizer->is_object()) return {};
  const json::object& object = pre_tokenizer->get_object();
  if (!is_type(object, "Sequence")) return {&object};
  std::vector<const json::object*> parts;
  if (const json::value* list = platform::find(object, "pretokenizers")) {
    for (const json::value& each : platform::as_array(*list, "pretokenizers"))
      parts.push_back(&platform::as_object(each, "pretokenizers"));
  }
  return parts;
}

std::string pattern_of(const json::object& split) {
  const json::value* pattern = platform::find(split, "pattern");
  const json::value* regex =
      pattern != nullptr && pattern->is_object() ? platform::find(pattern->get_object(), "Regex") : nullptr;
  return regex != nullptr && regex->is_string() ? std::string(regex->get_string()) : std::string();
}

// DeepSeek's three splits have one name.
bool is_deepseek3(const std::vector<const json::object*>& parts) {
  return parts.size() == 4 && pattern_of(*parts[0]) == kDigitGroups &&
         pattern_of(*parts[1]) == "[一-龥぀-ゟ゠-ヿ]+" &&
         pattern_of(*parts[2]).ends_with(R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

std::string pre_tokenizer_name(const json::object& root, bool ignore_merges) {
  const std::vector<const json::object*> parts = parts_of(platform::find(root, "pre_tokenizer"));
  if (is_deepseek3(parts)) return "deepseek-v3";
  PreTokenizerName found{"", "", false, false, ignore_merges};
  std::string pattern;
  bool known = !parts.empty() && is_type(*parts.back(), "ByteLevel") && parts.size() <= 2;
  if (known) found.own_pattern = platform::bool_or(*parts.back(), "use_regex", true, "pre_tokenizer");
  if (known && parts.size() == 2) {
    found.digits_apart =
        is_type(*parts[0], "Digits") && platform::bool_or(*parts[0], "individual_digits", false, "pre_tokenizer");
    pattern = is_type(*parts[0], "Split") ? pattern_of(*parts[0]) : std::string();
    known = found.digits_apart || !pattern.empty();
  }
  for (const PreTokenizerName& row : kNames) {
    if (known && row.pattern == pattern && row.digits_apart == found.digits_apart &&
        row.own_pattern == found.own_pattern && row.ignore_merges == ignore_merges)
      return std::string(row.name);
  }
  throw Error(ErrorCode::kInvalidInput,
              "llama.cpp has no name that we know for this pre-tokenizer: " +
                  json::serialize(root.at("pre_tokenizer")).substr(0, 300) + "; give its name there with --pre",
              "pre");
}

// What the vocabulary of a tokenizer.json becomes.
struct Tokens {
  std::vector<std::string> texts;
  std::vector<std::int32_t> types;
  std::vector<float> scores;
};

std::size_t place_of(const json::value& id, std::int64_t size, std::string_view token) {
  if (id.is_int64() && id.get_int64() >= 0 && id.get_int64() < size) return static_cast<std::size_t>(id.get_int64());
  throw Error(ErrorCode::kInvalidInput,
              "token '" + std::string(token) + "' has an id that the model of " + std::to_string(size) + " rows lacks");
}

Tokens tokens_of(const json::object& root, const json::object& model, std::int64_t size) {
  Tokens tokens;
  tokens.texts.resize(static_cast<std::size_t>(size));
  tokens.types.assign(static_cast<std::size_t>(size), kUnused);
  for (std::int64_t id = 0; id < size; ++id)
    tokens.texts[static_cast<std::size_t>(id)] = "[PAD" + std::to_string(id) + "]";
  const auto set = [&](std::string_view text, const json::value& id, std::int32_t type) {
    const std::size_t at = place_of(id, size, text);
    tokens.texts[at] = text;
    tokens.types[at] = type;
  };
  for (const auto& [text, id] : platform::as_object(platform::require(model, "vocab", "model"), "vocab"))
    set(text, id, kNormal);
  if (const json::value* added = platform::find(root, "added_tokens")) {
    for (const json::value& each : platform::as_array(*added, "added_tokens")) {
      const json::object& token = platform::as_object(each, "added_tokens");
      set(platform::require_string(token, "content", "added_tokens"), platform::require(token, "id", "added_tokens"),
          platform::bool_or(token, "special", false, "added_tokens") ? kControl : kUserDefined);
    }
  }
  return tokens;
}

std::vector<std::pair<std::string, std::string>> merges_of(const json::object& model) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (const json::value& each : platform::as_array(platform::require(model, "merges", "model"), "merges")) {
    if (each.is_string()) {
      const std::string_view text = each.get_string();
      const auto space = text.find(' ');
      if (space == std::string_view::npos)
        throw Error(ErrorCode::kInvalidInput, "tokenizer.json: a merge has no space");
      merges.emplace_back(text.substr(0, space), text.substr(space + 1));
      continue;
    }
    const std::vector<std::string> pair = platform::strings_from(each, "merges");
    if (pair.size() != 2) throw Error(ErrorCode::kInvalidInput, "tokenizer.json: a merge does not join two tokens");
    merges.emplace_back(pair[0], pair[1]);
  }
  return merges;
}

void add_byte_level(const json::object& root, const json::object& model, std::string_view pre, GgufMetadata& metadata) {
  const bool ignore_merges = platform::bool_or(model, "ignore_merges", false, "model");
  std::vector<std::string> merges;
  for (const auto& [left, right] : merges_of(model)) merges.push_back(left + " " + right);
  metadata.emplace_back("tokenizer.ggml.model", std::string("gpt2"));
  metadata.emplace_back("tokenizer.ggml.pre", pre.empty() ? pre_tokenizer_name(root, ignore_merges) : std::string(pre));
  metadata.emplace_back("tokenizer.ggml.merges", GgufArray(std::move(merges)));
}

bool prepends_space(const json::object& root) {
  const json::value* normalizer = platform::find(root, "normalizer");
  const std::string text = normalizer == nullptr ? "" : json::serialize(*normalizer);
  const json::value* pre = platform::find(root, "pre_tokenizer");
  const std::string other = pre == nullptr ? "" : json::serialize(*pre);
  return text.find("\"Prepend\"") != std::string::npos ||
         (other.find("\"Metaspace\"") != std::string::npos && other.find("\"never\"") == std::string::npos);
}

// llama.cpp joins the two neighbours whose whole has the best score: the rank of the first merge that makes it, turned
// round.
void add_sentence_piece(const json::object& root, const json::object& model, Tokens& tokens, GgufMetadata& metadata) {
  std::map<std::string, float, std::less<>> scores;
  float rank = 0;
  for (const auto& [left, right] : merges_of(model)) scores.try_emplace(left + right, -(rank += 1));
  const std::string unknown = platform::string_or(model, "unk_token", "", "model");
  for (std::size_t id = 0; id < tokens.texts.size(); ++id) {
    const std::string& text = tokens.texts[id];
    const auto found = scores.find(text);
    tokens.scores.push_back(found != scores.end() ? found->second : tokens.types[id] == kNormal ? 0.0f : -1000.0f);
    if (!unknown.empty() && text == unknown) tokens.types[id] = kUnknown;
    if (text.size() == 6 && text.starts_with("<0x") && text.back() == '>') tokens.types[id] = kByte;
  }
  metadata.emplace_back("tokenizer.ggml.model", std::string("llama"));
  metadata.emplace_back("tokenizer.ggml.pre", std::string("default"));
  metadata.emplace_back("tokenizer.ggml.add_space_prefix", prepends_space(root));
  metadata.emplace_back("tokenizer.ggml.scores", GgufArray(tokens.scores));
}

std::string token_name(const json::object& config, const char* key) {
  const json::value* value = platform::find(config, key);
  if (value == nullptr) return {};
  if (value->is_string()) return std::string(value->get_string());
  return value->is_object() ? platform::string_or(value->get_object(), "content", "", key) : std::string();
}

void add_special_ids(const TokenizerDocuments& documents, const std::string& unknown, GgufMetadata& metadata) {
  const Tokenizer tokenizer = Tokenizer::from_json(documents.tokenizer_json, documents.config_json);
  json::object config;
  if (!documents.config_json.empty())
    config = platform::as_object(platform::parse_json(documents.config_json, "tokenizer_config.json"), "config");
  const auto add = [&](const char* key, const std::string& name) {
    const auto id = name.empty() ? std::nullopt : tokenizer.token_id(name);
    if (id) metadata.emplace_back(std::string("tokenizer.ggml.") + key, static_cast<std::uint32_t>(*id));
    return id;
  };
  const auto begin = add("bos_token_id", token_name(config, "bos_token"));
  const auto end = add("eos_token_id", token_name(config, "eos_token"));
  add("padding_token_id", token_name(config, "pad_token"));
  add("unknown_token_id", unknown);
  const std::vector<std::int32_t> ids = tokenizer.encode("a", {.add_special_tokens = true});
  metadata.emplace_back("tokenizer.ggml.add_bos_token", begin && !ids.empty() && ids.front() == *begin);
  metadata.emplace_back("tokenizer.ggml.add_eos_token", end && !ids.empty() && ids.back() == *end);
}

json::value pre_tokenizer_json(const PreTokenizerName& row) {
  const json::object bytes{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", row.own_pattern}};
  if (row.digits_apart)
    return json::object{
        {"type", "Sequence"},
        {"pretokenizers", json::array{json::object{{"type", "Digits"}, {"individual_digits", true}}, bytes}}};
  if (row.pattern.empty()) return bytes;
  const json::object split{{"type", "Split"},
                           {"pattern", json::object{{"Regex", row.pattern}}},
                           {"behavior", "Isolated"},
                           {"invert", false}};
  return json::object{{"type", "Sequence"}, {"pretokenizers", json::array{split, bytes}}};
}

const PreTokenizerName& row_of(const GgufFile& file) {
  const std::string* model = file.text("tokenizer.ggml.model");
  const std::string* pre = file.text("tokenizer.ggml.pre");
  if (model != nullptr && *model == "gpt2" && pre != nullptr) {
    for (const PreTokenizerName& row : kNames) {
      if (row.name == *pre) return row;
    }
  }
  throw Error(ErrorCode::kInvalidInput,
              "the tokenizer of " + file.path().string() + " is not read: model " +
                  (model == nullptr ? std::string("absent") : in_quotes(*model)) + ", pre-tokenizer " +
                  (pre == nullptr ? std::string("absent") : in_quotes(*pre)) +
                  "; take a file that carries tokenizer.huggingface.json, or the safetensors folder");
}

const std::vector<std::int32_t>& types_of(const GgufFile& file, std::size_t count) {
  const GgufValue* value = file.find("tokenizer.ggml.token_type");
  const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(value);
  const auto* types = array == nullptr ? nullptr : std::get_if<std::vector<std::int32_t>>(array);
  if (types == nullptr || types->size() != count)
    throw Error(ErrorCode::kCorrupt, file.path().string() + ": tokenizer.ggml.token_type does not fit the tokens");
  return *types;
}

// Begin-of-text before every text, where the file wants it; llama.cpp's default without the key is yes for Llama 3's
// pre-tokenizer and no for the others.
json::value post_processor_json(const GgufFile& file, const PreTokenizerName& row,
                                const std::vector<std::string>& texts) {
  const GgufValue* value = file.find("tokenizer.ggml.add_bos_token");
  const bool* said = value == nullptr ? nullptr : std::get_if<bool>(value);
  const auto id = file.whole("tokenizer.ggml.bos_token_id");
  const bool known = id && *id >= 0 && static_cast<std::size_t>(*id) < texts.size();
  if (!known || !(said != nullptr ? *said : row.name == "llama-bpe")) return nullptr;
  const std::string& token = texts[static_cast<std::size_t>(*id)];
  const json::object special{{"SpecialToken", json::object{{"id", token}, {"type_id", 0}}}};
  const json::object text{{"Sequence", json::object{{"id", "A"}, {"type_id", 0}}}};
  json::object named{{"id", token}, {"ids", json::array{*id}}, {"tokens", json::array{json::string(token)}}};
  return json::object{{"type", "TemplateProcessing"},
                      {"single", json::array{special, text}},
                      {"pair", json::array{}},
                      {"special_tokens", json::object{{token, std::move(named)}}}};
}

// Byte-level BPE from tokens, kinds and merges.
json::object rebuilt(const GgufFile& file, const std::vector<std::string>& texts) {
  const PreTokenizerName& row = row_of(file);
  const std::vector<std::int32_t>& types = types_of(file, texts.size());
  const std::vector<std::string>* merges = file.texts("tokenizer.ggml.merges");
  json::object vocabulary;
  json::array added, merge_list;
  for (std::size_t id = 0; id < texts.size(); ++id) {
    if (types[id] == kNormal) vocabulary[texts[id]] = id;
    if (types[id] != kControl && types[id] != kUserDefined) continue;
    added.push_back(json::object{{"id", id},
                                 {"content", texts[id]},
                                 {"single_word", false},
                                 {"lstrip", false},
                                 {"rstrip", false},
                                 {"normalized", false},
                                 {"special", types[id] == kControl}});
  }
  if (merges != nullptr) {
    for (const std::string& merge : *merges) merge_list.push_back(json::string(merge));
  }
  json::value normalizer;
  if (row.name == "qwen2" || row.name == "qwen35") normalizer = json::object{{"type", "NFC"}};
  return {{"version", "1.0"},
          {"added_tokens", std::move(added)},
          {"normalizer", std::move(normalizer)},
          {"pre_tokenizer", pre_tokenizer_json(row)},
          {"post_processor", post_processor_json(file, row, texts)},
          {"decoder", json::object{{"type", "ByteLevel"}}},
          {"model", json::object{{"type", "BPE"},
                                 {"ignore_merges", row.ignore_merges},
                                 {"vocab", std::move(vocabulary)},
                                 {"merges", std::move(merge_list)}}}};
}

}  // namespace

GgufMetadata gguf_tokenizer_metadata(const TokenizerDocuments& documents, std::string_view chat_template,
                                     std::int64_t vocabulary_size, std::string_view pre) {
  const json::value document = platform::parse_json(documents.tokenizer_json, "tokenizer.json");
  const json::object& root = platform::as_object(document, "tokenizer.json");
  const json::object& model = platform::as_object(platform::require(root, "model", "tokenizer.json"), "model");
  if (!is_type(model, "BPE")) {
    throw Error(ErrorCode::kInvalidInput, "a tokenizer of the kind " +
                                              platform::string_or(model, "type", "?", "model") +
                                              " is not written to GGUF; BPE is, byte-level or with byte fallback");
  }
  Tokens tokens = tokens_of(root, model, vocabulary_size);
  GgufMetadata metadata;
  if (platform::bool_or(model, "byte_fallback", false, "model")) {
    add_sentence_piece(root, model, tokens, metadata);
  } else {
    add_byte_level(root, model, pre, metadata);
  }
  metadata.emplace_back("tokenizer.ggml.tokens", GgufArray(std::move(tokens.texts)));
  metadata.emplace_back("tokenizer.ggml.token_type", GgufArray(std::move(tokens.types)));
  add_special_ids(documents, platform::string_or(model, "unk_token", "", "model"), metadata);
  if (!chat_template.empty()) metadata.emplace_back("tokenizer.chat_template", std::string(chat_template));
  metadata.emplace_back(std::string(kWholeFile), documents.tokenizer_json);
  return metadata;
}

TokenizerDocuments tokenizer_documents(const GgufFile& file) {
  const std::string* whole = file.text(kWholeFile);
  const std::vector<std::string>* texts = file.texts("tokenizer.ggml.tokens");
  if (whole == nullptr && texts == nullptr)
    throw Error(ErrorCode::kInvalidInput, file.path().string() + " holds no tokenizer; take the safetensors folder");
  TokenizerDocuments documents;
  documents.tokenizer_json = whole != nullptr ? *whole : json::serialize(rebuilt(file, *texts));
  json::object config;
  const auto name = [&](const char* key, const std::string& id_key) {
    const auto id = file.whole("tokenizer.ggml." + id_key);
    if (id && texts != nullptr && *id >= 0 && static_cast<std::size_t>(*id) < texts->size())
      config[key] = json::string((*texts)[static_cast<std::size_t>(*id)]);
  };
  name("bos_token", "bos_token_id");
  name("eos_token", "eos_token_id");
  name("pad_token", "padding_token_id");
  if (const std::string* chat_template = file.text("tokenizer.chat_template"))
    config["chat_template"] = json::string(*chat_template);
  documents.config_json = json::serialize(config);
  return documents;
}

}  // namespace finetune
