// The two models that look words up: WordLevel whole, WordPiece in the longest pieces from the left. Immutable; any
// thread.
#pragma once

#include <string>

#include "finetune/text/token_model.h"

namespace finetune {

class WordLevel : public TokenModel {
 public:
  WordLevel(TokenToId vocabulary, UnknownToken unknown)
      : vocabulary_(std::move(vocabulary)), unknown_(std::move(unknown)) {}
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  TokenToId vocabulary_;
  UnknownToken unknown_;
};

class WordPiece : public TokenModel {
 public:
  /// Pieces after the first of a word carry `prefix`. A word of more than `max_characters`, or with a part that no
  /// piece covers, is one unknown token.
  WordPiece(TokenToId vocabulary, UnknownToken unknown, std::string prefix, std::size_t max_characters);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  // The longest piece that word[begin, ...) begins with: its id and where it ends; -1 where there is none.
  std::pair<std::int32_t, std::size_t> longest(std::string_view word, std::size_t begin) const;

  TokenToId vocabulary_;
  UnknownToken unknown_;
  std::string prefix_;
  std::size_t max_characters_;
  std::size_t longest_token_bytes_ = 0;
};

}  // namespace finetune
