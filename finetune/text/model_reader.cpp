#include "finetune/text/model_reader.h"

#include <cmath>

#include "finetune/text/bpe.h"
#include "finetune/text/byte_level.h"
#include "finetune/text/component.h"
#include "finetune/text/token_id.h"
#include "finetune/text/unigram.h"
#include "finetune/text/word_models.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr const char* kComponent = "model";

Vocabulary read_vocabulary(const json::object& model) {
  Vocabulary vocabulary;
  for (const auto& [token, id] : platform::as_object(platform::require(model, "vocab", kComponent), "model.vocab")) {
    check_token_length(token);
    vocabulary.emplace(token, checked_token_id(id, token));
  }
  return vocabulary;
}

TokenToId index(const Vocabulary& vocabulary) { return {vocabulary.begin(), vocabulary.end()}; }

UnknownToken read_unknown(const json::object& model, const Vocabulary& vocabulary, std::string_view fallback) {
  UnknownToken unknown{platform::string_or(model, "unk_token", fallback, kComponent), std::nullopt};
  const auto found = vocabulary.find(unknown.name);
  if (!unknown.name.empty() && found != vocabulary.end()) unknown.id = found->second;
  return unknown;
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
  corrupt_tokenizer("a merge is not a pair of tokens: " + json::serialize(merge).substr(0, 80));
}

std::vector<BpeMerge> read_merges(const json::object& model, const Vocabulary& vocabulary, std::size_t prefix_bytes) {
  const auto id_of = [&](const std::string& token) {
    const auto found = vocabulary.find(token);
    if (found == vocabulary.end())
      corrupt_tokenizer("merges name a token that the vocabulary lacks: '" + token.substr(0, 80) + "'");
    return found->second;
  };
  std::vector<BpeMerge> merges;
  for (const json::value& merge : platform::as_array(platform::require(model, "merges", kComponent), "model.merges")) {
    const auto [left, right] = merge_halves(merge);
    const std::string both = left + right.substr(std::min(prefix_bytes, right.size()));
    merges.push_back({id_of(left), id_of(right), id_of(both)});
  }
  return merges;
}

TokenToId byte_vocabulary(const Vocabulary& vocabulary) {
  TokenToId bytes;
  bytes.reserve(vocabulary.size());
  for (const auto& [token, id] : vocabulary) {
    // A spelling outside the byte alphabet belongs to an added token; no text can merge into it.
    if (auto spelled = from_byte_alphabet(token)) bytes.emplace(std::move(*spelled), id);
  }
  return bytes;
}

ReadModel read_bpe(const json::object& model, bool byte_pieces) {
  if (platform::number_or(model, "dropout", 0, kComponent) != 0)
    throw Error(ErrorCode::kInvalidInput, "tokenizer.json: model.dropout must be 0 or null", "model.dropout");
  Vocabulary vocabulary = read_vocabulary(model);
  BpeOptions options;
  options.unknown = read_unknown(model, vocabulary, "");
  options.fuse_unknown = platform::bool_or(model, "fuse_unk", false, kComponent);
  options.byte_fallback = platform::bool_or(model, "byte_fallback", false, kComponent);
  options.ignore_merges = platform::bool_or(model, "ignore_merges", false, kComponent);
  options.prefix = platform::string_or(model, "continuing_subword_prefix", "", kComponent);
  options.suffix = platform::string_or(model, "end_of_word_suffix", "", kComponent);
  options.words_are_bytes = byte_pieces && !options.byte_fallback && options.prefix.empty() && options.suffix.empty();
  const std::vector<BpeMerge> merges = read_merges(model, vocabulary, options.prefix.size());
  TokenToId tokens = options.words_are_bytes ? byte_vocabulary(vocabulary) : index(vocabulary);
  return {std::make_unique<Bpe>(std::move(tokens), merges, std::move(options)), std::move(vocabulary)};
}

std::pair<std::string, double> read_piece(const json::value& value) {
  const bool pair = value.is_array() && value.get_array().size() == 2 && value.get_array()[0].is_string() &&
                    value.get_array()[1].is_number();
  if (!pair) corrupt_tokenizer("a piece is not a text and its score: " + json::serialize(value).substr(0, 80));
  return {std::string(value.get_array()[0].get_string()), value.get_array()[1].to_number<double>()};
}

ReadModel read_unigram(const json::object& model, bool) {
  std::vector<std::pair<std::string, double>> pieces;
  Vocabulary vocabulary;
  for (const json::value& value : platform::as_array(platform::require(model, "vocab", kComponent), "model.vocab")) {
    pieces.push_back(read_piece(value));
    check_token_length(pieces.back().first);
    vocabulary[pieces.back().first] = static_cast<std::int32_t>(pieces.size()) - 1;
  }
  UnknownToken unknown;
  if (const json::value* id = platform::find(model, "unk_id")) {
    unknown.id = checked_token_id(*id, "unk_id");
    if (static_cast<std::size_t>(*unknown.id) >= pieces.size())
      corrupt_tokenizer("unk_id is " + std::to_string(*unknown.id) + ", but there are " +
                        std::to_string(pieces.size()) + " pieces");
    unknown.name = pieces[static_cast<std::size_t>(*unknown.id)].first;
  }
  const bool byte_fallback = platform::bool_or(model, "byte_fallback", false, kComponent);
  return {std::make_unique<Unigram>(std::move(pieces), std::move(unknown), byte_fallback), std::move(vocabulary)};
}

ReadModel read_word_level(const json::object& model, bool) {
  Vocabulary vocabulary = read_vocabulary(model);
  return {std::make_unique<WordLevel>(index(vocabulary), read_unknown(model, vocabulary, "<unk>")),
          std::move(vocabulary)};
}

ReadModel read_word_piece(const json::object& model, bool) {
  Vocabulary vocabulary = read_vocabulary(model);
  return {std::make_unique<WordPiece>(index(vocabulary), read_unknown(model, vocabulary, "[UNK]"),
                                      platform::string_or(model, "continuing_subword_prefix", "##", kComponent),
                                      size_or(model, "max_input_chars_per_word", 100, kComponent)),
          std::move(vocabulary)};
}

struct Kind {
  std::string_view type;
  ReadModel (*read)(const json::object&, bool byte_pieces);
};

constexpr Kind kKinds[] = {
    {"BPE", read_bpe},
    {"Unigram", read_unigram},
    {"WordLevel", read_word_level},
    {"WordPiece", read_word_piece},
};

}  // namespace

ReadModel read_token_model(const json::object& model, bool byte_pieces) {
  // Old files do not name the model of byte-pair merges.
  if (!platform::find(model, "type")) return read_bpe(model, byte_pieces);
  return kind_of(kKinds, model, kComponent).read(model, byte_pieces);
}

}  // namespace finetune
