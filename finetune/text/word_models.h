// The two models that look words up: WordLevel whole, WordPiece in the longest pieces from the left. Immutable; any
// thread.
#pragma once

#include <string>

#include "finetune/text/piece_trie.h"
#include "finetune/text/token_model.h"

namespace finetune {

class WordLevel : public TokenModel {
 public:
  WordLevel(TokenToId vocabulary, UnknownToken unknown)
      : vocabulary_(std::move(vocabulary)), unknown_(std::move(unknown)) {}
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;
  void encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const override;

 private:
  TokenToId vocabulary_;
  UnknownToken unknown_;
};

class WordPiece : public TokenModel {
 public:
  /// Pieces after the first of a word carry `prefix`. A word of more than `max_characters`, or with a part that no
  /// piece covers, is one unknown token.
  WordPiece(const TokenToId& vocabulary, UnknownToken unknown, std::string_view prefix, std::size_t max_characters);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;
  void encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const override;

 private:
  PieceTrie first_;  // pieces that may begin a word
  PieceTrie later_;  // the others, without their prefix
  UnknownToken unknown_;
  std::size_t max_characters_;
};

}  // namespace finetune
