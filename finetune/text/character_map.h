// The "precompiled_charsmap" of a SentencePiece model: rules from short byte strings to texts, as a double array.
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/text_rewriter.h"

namespace finetune {

class CharacterMap {
 public:
  /// From the map in base64. Throws kCorrupt where it is none; its bytes are
  ///   map   := trie_bytes:u32le unit:u32le{trie_bytes / 4} text{...}
  ///   text  := byte* 0
  ///   unit  := bits 0-7 label, 8 "a leaf follows", 9 wide offset, 10-30 offset, 31 leaf; a leaf's bits 0-30 are the
  ///            place of its text
  explicit CharacterMap(std::string_view base64);
  /// Each short grapheme cluster, or else each of its characters, by its rule. `text` must be well-formed UTF-8. Throws
  /// kCorrupt when the rules make too much of it.
  void apply(std::string_view text, TextRewriter& rewriter) const;

 private:
  // The text of the shortest rule that `key` begins with.
  std::optional<std::string_view> find(std::string_view key) const;

  std::vector<std::uint32_t> units_;
  std::string texts_;
};

}  // namespace finetune
