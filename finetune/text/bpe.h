// The byte-pair merges themselves: one word's bytes or characters to ids. Ranks decide, ties go to the left.
// Immutable but for an inner cache of words, which is locked; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "finetune/text/byte_token.h"
#include "finetune/text/token_model.h"

namespace finetune {

struct BpeMerge {
  std::int32_t left;
  std::int32_t right;
  std::int32_t result;
};

struct BpeOptions {
  bool words_are_bytes = false;  // else UTF-8, and a symbol is a character
  bool ignore_merges = false;    // a word that is a token is not merged from its symbols
  UnknownToken unknown;          // for a symbol without a token of its own; without a name: nothing
  bool fuse_unknown = false;     // a run of such symbols is one token
  bool byte_fallback = false;    // such a symbol is its bytes' tokens, where the vocabulary has them all
  std::string prefix;            // of every symbol but a word's first
  std::string suffix;            // of a word's last symbol
};

class Bpe : public TokenModel {
 public:
  /// `merges` in rank order. With `words_are_bytes` the vocabulary holds bytes, and options about characters are not
  /// read.
  Bpe(TokenToId vocabulary, const std::vector<BpeMerge>& merges, BpeOptions options);

  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;
  void encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const override;
  bool takes_bytes() const override { return options_.words_are_bytes; }

 private:
  struct Slot {
    std::uint64_t pair = ~std::uint64_t{0};
    std::int32_t rank = 0;
    std::int32_t result = 0;
  };
  class SymbolList;
  struct CacheShard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<std::int32_t>, TokenHash, std::equal_to<>> words;
  };
  static constexpr std::size_t kShards = 16;

  const Slot* find(std::int32_t left, std::int32_t right) const;
  void insert(std::uint64_t pair, std::int32_t rank, std::int32_t result);
  SymbolList symbols_of(std::string_view word) const;
  void add_bytes_of(std::string_view word, SymbolList& symbols) const;
  void add_characters_of(std::string_view word, SymbolList& symbols) const;
  // Bytes of a merged token's text that are the word's own, where it begins at `at`.
  std::size_t length_of(std::int32_t id, std::string_view word, std::size_t at) const;
  void merge_short(std::vector<std::int32_t>& symbols) const;
  void merge_long(std::vector<std::int32_t>& symbols) const;

  TokenToId vocabulary_;
  BpeOptions options_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<std::string_view> texts_;  // by id, of the vocabulary
  std::optional<ByteFallback> fallback_;
  std::vector<Slot> slots_;
  mutable std::array<CacheShard, kShards> cache_;
};

}  // namespace finetune
