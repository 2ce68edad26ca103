#include "finetune/text/json_tokenizer.h"

#include <utility>

#include "finetune/text/byte_level.h"
#include "finetune/text/unicode.h"

namespace finetune {

JsonTokenizer::JsonTokenizer(TokenizerFile file) : file_(std::move(file)) {
  for (const auto& [token, id] : file_.vocabulary) set_token(id, token, TokenKind::kPlain);
  for (const AddedToken& token : file_.added_tokens) add(token);
  bos = id_of(file_.bos_token);
  eos = id_of(file_.eos_token);
}

void JsonTokenizer::set_token(std::int32_t id, const std::string& token, TokenKind kind) {
  const auto at = static_cast<std::size_t>(id);
  if (texts_.size() <= at) {
    texts_.resize(at + 1);
    kinds.resize(at + 1, TokenKind::kAbsent);
  }
  texts_[at] = file_.decoder.byte_level() ? from_byte_alphabet(token).value_or(token) : token;
  kinds[at] = kind;
}

void JsonTokenizer::add(const AddedToken& token) {
  // Such a token is looked for, and printed, in its normalised form.
  const std::string pattern = token.normalized ? file_.normalizer.apply(token.content) : token.content;
  (token.normalized ? normalized_tokens_ : raw_tokens_).add(pattern, &token);
  // The file's own library knows special tokens by their written content, so one that the normaliser changes is not
  // left out.
  const bool special = token.special && pattern == token.content;
  set_token(token.id, pattern, special ? TokenKind::kSpecial : TokenKind::kPlain);
  added_ids_.emplace(token.content, token.id);
}

void JsonTokenizer::encode_plain(std::string_view text, bool at_start, bool parse_special,
                                 std::vector<std::int32_t>& ids) const {
  std::string changed;
  if (!file_.normalizer.is_identity()) {
    changed = file_.normalizer.apply(text);
    text = changed;
  }
  const bool spell = file_.pre_tokenizer.byte_level() && !file_.model->takes_bytes();
  for (const TextPart& part : normalized_tokens_.split(text, parse_special)) {
    if (part.token) {
      ids.push_back(part.token->id);
      continue;
    }
    file_.pre_tokenizer.split(part.text, at_start && part.text.data() == text.data(), [&](std::string_view word) {
      spell ? file_.model->encode(to_byte_alphabet(word), ids) : file_.model->encode(word, ids);
    });
  }
}

std::vector<std::int32_t> JsonTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 4);
  if (options.add_special_tokens) ids = file_.post_processor.prefix();
  for (const TextPart& part : raw_tokens_.split(text, options.parse_special_tokens)) {
    if (part.token) {
      ids.push_back(part.token->id);
    } else {
      encode_plain(part.text, part.text.data() == text.data(), options.parse_special_tokens, ids);
    }
  }
  const std::vector<std::int32_t>& suffix = file_.post_processor.suffix();
  if (options.add_special_tokens) ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::string JsonTokenizer::decode(std::span<const std::int32_t> ids) const {
  if (!file_.decoder.byte_level()) {
    std::vector<std::string> tokens;
    for (const std::int32_t id : ids) tokens.push_back(texts_[static_cast<std::size_t>(id)]);
    return file_.decoder.decode(std::move(tokens));
  }
  std::string bytes;
  for (const std::int32_t id : ids) bytes += texts_[static_cast<std::size_t>(id)];
  return is_utf8(bytes) ? bytes : repair_utf8(bytes);
}

std::string JsonTokenizer::bytes_of(std::int32_t id) const {
  const std::string& text = texts_[static_cast<std::size_t>(id)];
  return file_.decoder.byte_level() ? text : file_.decoder.bytes_of(text);
}

std::optional<std::int32_t> JsonTokenizer::id_of(std::string_view token) const {
  if (const auto added = added_ids_.find(token); added != added_ids_.end()) return added->second;
  const auto found = file_.vocabulary.find(token);
  if (found == file_.vocabulary.end()) return std::nullopt;
  return found->second;
}

}  // namespace finetune
