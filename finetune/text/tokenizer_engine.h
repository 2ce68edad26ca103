// What stands behind a Tokenizer: one implementation per file format. Immutable after construction; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/byte_span.h"

namespace finetune {

struct EncodeOptions {
  /// Adds what the file's template adds (begin-of-text and the like).
  bool add_special_tokens = false;
  /// Off: "<|end|>" in a user's text stays plain text and can never become the control token. On only for text that we
  /// rendered ourselves.
  bool parse_special_tokens = false;
};

/// What an id is: kAbsent is no token's.
enum class TokenKind : unsigned char { kAbsent, kPlain, kSpecial };

/// Tokens, and for each the part of the text that it stands for. A token that is a part of a character has the whole
/// character; one that stands for nothing (a mark put before a word, an end of the file's template) has an empty part.
struct TokenSpans {
  std::vector<std::int32_t> ids;
  std::vector<ByteSpan> spans;
  void add(std::int32_t id, ByteSpan span) {
    ids.push_back(id);
    spans.push_back(span);
  }
};

class TokenizerEngine {
 public:
  virtual ~TokenizerEngine() = default;
  /// `text` is well-formed UTF-8.
  virtual std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options) const = 0;
  virtual TokenSpans encode_spans(std::string_view text, const EncodeOptions& options) const = 0;
  /// Valid UTF-8; no id is absent.
  virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
  /// The bytes that a token adds inside a text.
  virtual std::string bytes_of(std::int32_t id) const = 0;
  virtual std::optional<std::int32_t> id_of(std::string_view token) const = 0;

  TokenKind kind(std::int32_t id) const {
    const bool inside = id >= 0 && static_cast<std::size_t>(id) < kinds.size();
    return inside ? kinds[static_cast<std::size_t>(id)] : TokenKind::kAbsent;
  }

  std::vector<TokenKind> kinds;       // by id
  std::vector<std::int32_t> opening;  // what the file's template puts before a text
  std::optional<std::int32_t> bos;
  std::optional<std::int32_t> eos;
};

}  // namespace finetune
