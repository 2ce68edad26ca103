// The "model" of a tokenizer.json: one word to token ids. model_reader.h makes one; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "finetune/text/byte_span.h"

namespace finetune {

struct TokenHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view token) const { return std::hash<std::string_view>()(token); }
};
using TokenToId = std::unordered_map<std::string, std::int32_t, TokenHash, std::equal_to<>>;

/// What a word becomes that the vocabulary does not cover.
struct UnknownToken {
  std::string name;                // as the file calls it
  std::optional<std::int32_t> id;  // absent: the vocabulary lacks it

  /// Throws kInvalidInput where there is none.
  std::int32_t require_id(std::string_view word) const;
};

struct TokenPiece {
  std::int32_t id;
  ByteSpan place;  // in the word
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the ids of one word. Throws kInvalidInput where the word needs an unknown token and there is none.
  virtual void encode(std::string_view word, std::vector<std::int32_t>& ids) const = 0;
  /// The same tokens, each with the part of the word that it stands for.
  virtual void encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const = 0;
  /// True if words are bytes instead of text.
  virtual bool takes_bytes() const { return false; }
};

}  // namespace finetune
