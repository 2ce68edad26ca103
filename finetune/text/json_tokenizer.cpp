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
  opening = file_.post_processor.prefix();
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

void JsonTokenizer::encode_plain_spans(std::string_view text, std::size_t at, bool parse_special,
                                       TokenSpans& found) const {
  std::string changed(text);
  Origins origins = own_origins(text, at);
  file_.normalizer.apply(changed, origins);
  const TracedText traced{changed, origins.data()};
  const bool spell = file_.pre_tokenizer.byte_level() && !file_.model->takes_bytes();
  std::vector<TokenPiece> pieces;
  const auto encode_word = [&](TracedText word) {
    pieces.clear();
    file_.model->encode_pieces(word.text, pieces);
    for (const TokenPiece& piece : pieces) found.add(piece.id, word.span(piece.place.begin, piece.place.end));
  };
  for (const TextPart& part : normalized_tokens_.split(changed, parse_special)) {
    const auto begin = static_cast<std::size_t>(part.text.data() - changed.data());
    if (part.token) {
      found.add(part.token->id, traced.span(begin, begin + part.text.size()));
      continue;
    }
    const TracedText plain = traced.part(begin, begin + part.text.size());
    file_.pre_tokenizer.split_traced(plain, at == 0 && begin == 0, [&](TracedText word) {
      if (!spell) return encode_word(word);
      TextRewriter spelled(word);
      spell_bytes(word.text, spelled);
      const std::string letters = spelled.take_text();
      const Origins places = spelled.take_origins();
      encode_word({letters, places.data()});
    });
  }
}

void JsonTokenizer::trim_places(TokenSpans& found) const {
  for (std::size_t i = 0; i < found.ids.size(); ++i) {
    const std::string& text = texts_[static_cast<std::size_t>(found.ids[i])];
    const std::size_t leading = std::min(text.find_first_not_of(' '), text.size());
    const std::size_t last = text.find_last_not_of(' ');
    const std::size_t trailing = last == std::string::npos ? text.size() : text.size() - last - 1;
    found.spans[i] = file_.post_processor.trimmed(found.spans[i], i == 0, leading, trailing);
  }
}

TokenSpans JsonTokenizer::encode_spans(std::string_view text, const EncodeOptions& options) const {
  TokenSpans found;
  const auto add_ends = [&](const std::vector<std::int32_t>& ids) {
    for (const std::int32_t id : ids) found.add(id, {});
  };
  if (options.add_special_tokens) add_ends(file_.post_processor.prefix());
  for (const TextPart& part : raw_tokens_.split(text, options.parse_special_tokens)) {
    const auto begin = static_cast<std::size_t>(part.text.data() - text.data());
    if (part.token) {
      found.add(part.token->id, {begin, begin + part.text.size()});
    } else {
      encode_plain_spans(part.text, begin, options.parse_special_tokens, found);
    }
  }
  if (file_.post_processor.trims_places()) trim_places(found);
  if (options.add_special_tokens) add_ends(file_.post_processor.suffix());
  return found;
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
