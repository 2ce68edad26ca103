// The Unigram model: the pieces whose scores sum to the most. Immutable; any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "finetune/text/byte_token.h"
#include "finetune/text/piece_trie.h"
#include "finetune/text/token_model.h"

namespace finetune {

class Unigram : public TokenModel {
 public:
  /// Pieces with their scores, in the order of their ids. A run of characters without a piece becomes its bytes'
  /// tokens if `byte_fallback` and the vocabulary has them all, else one unknown token.
  Unigram(std::vector<std::pair<std::string, double>> pieces, UnknownToken unknown, bool byte_fallback);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;
  void encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const override;

 private:
  struct Best;
  std::vector<Best> best_path(std::string_view word) const;
  // The parts of the word that are pieces, or runs of characters without one, from left to right.
  std::vector<ByteSpan> parts_of(std::string_view word) const;
  // Appends the part's token, or its bytes' tokens.
  void encode_part(std::string_view part, std::vector<std::int32_t>& ids) const;
  std::int32_t id_of(std::string_view piece) const;

  std::vector<std::pair<std::string, double>> pieces_;
  TokenToId ids_;
  PieceTrie trie_;
  UnknownToken unknown_;
  double unknown_score_;
  std::optional<ByteFallback> bytes_;
};

}  // namespace finetune
