// The byte-pair merges themselves: one pre-token's bytes to ids. Ranks decide, ties go to the left.
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

namespace finetune {

struct BytesHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view bytes) const { return std::hash<std::string_view>()(bytes); }
};
using BytesToId = std::unordered_map<std::string, std::int32_t, BytesHash, std::equal_to<>>;

struct BpeMerge {
  std::int32_t left;
  std::int32_t right;
  std::int32_t result;
};

class Bpe {
 public:
  /// `merges` in rank order. `ignore_merges`: a word that is a token is not merged from its bytes. A byte without a
  /// token of its own becomes `unknown_id` (runs of them one if `fuse_unknown`), or nothing.
  Bpe(BytesToId vocabulary, const std::vector<BpeMerge>& merges, bool ignore_merges,
      std::optional<std::int32_t> unknown_id, bool fuse_unknown);

  /// Appends the ids of one word.
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

 private:
  struct Slot {
    std::uint64_t pair = ~std::uint64_t{0};
    std::int32_t rank = 0;
    std::int32_t result = 0;
  };
  struct CacheShard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<std::int32_t>, BytesHash, std::equal_to<>> words;
  };
  static constexpr std::size_t kShards = 16;

  const Slot* find(std::int32_t left, std::int32_t right) const;
  void insert(std::uint64_t pair, std::int32_t rank, std::int32_t result);
  std::vector<std::int32_t> bytes_of(std::string_view word) const;
  void merge_short(std::vector<std::int32_t>& symbols) const;
  void merge_long(std::vector<std::int32_t>& symbols) const;

  BytesToId vocabulary_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<Slot> slots_;
  bool ignore_merges_;
  std::optional<std::int32_t> unknown_id_;
  bool fuse_unknown_;
  mutable std::array<CacheShard, kShards> cache_;
};

}  // namespace finetune
