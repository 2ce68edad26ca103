// The tokens of a vocabulary by their bytes, as a trie that is walked in one pass. Immutable after construction; any
// thread. About 12 bytes a node; a vocabulary of 150,000 tokens has about 600,000 nodes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/tokenizer.h"

namespace finetune {

class TokenTrie {
 public:
  /// All tokens that give text, but special ones, `ends`, and those that read otherwise alone than inside a text by
  /// more than a space before them, as WordPiece's "##ing" does: what they add depends on what is around them.
  TokenTrie(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ends);

  /// Ids of the vocabulary: highest + 1.
  std::size_t vocabulary_size() const { return vocabulary_size_; }
  const std::string& bytes_of(std::int32_t token) const { return bytes_[static_cast<std::size_t>(token)]; }
  /// True if every byte that well-formed UTF-8 without control characters needs is a token of its own, so that any such
  /// text can be written.
  bool writes_any_byte() const { return writes_any_byte_; }
  /// The fewest tokens that `text` can be written with; kNeverFinished (constraint.h) if there is no way.
  std::int64_t fewest_tokens(std::string_view text) const;

  /// Goes through all tokens whose bytes `next` follows: State next(State, unsigned char), kDead where it does not.
  /// visit(token, state): `state` is that behind the token's last byte.
  template <typename State, typename Next, typename Visit>
  void walk(State start, State dead, const Next& next, const Visit& visit) const {
    std::vector<State> path(static_cast<std::size_t>(depth_) + 1, start);  // behind the byte at each depth
    for (std::size_t at = 0; at + 1 < nodes_.size();) {
      const Node& node = nodes_[at];
      const State state = next(path[node.depth], node.byte);
      if (state == dead) {
        at = node.end;
        continue;
      }
      path[node.depth + 1u] = state;
      for (std::uint32_t i = node.tokens; i < nodes_[at + 1].tokens; ++i) visit(tokens_[i], state);
      ++at;
    }
  }

 private:
  // In the order of a walk that goes down before it goes on; the last one is a mark behind all.
  struct Node {
    std::uint32_t end;     // the node behind those below this one
    std::uint32_t tokens;  // where this node's tokens begin; they end where the next node's begin
    std::uint16_t depth;   // bytes before this one
    std::uint8_t byte;
  };

  std::size_t child(std::size_t begin, std::size_t end, unsigned char byte) const;

  std::size_t vocabulary_size_ = 0;
  std::uint16_t depth_ = 0;
  bool writes_any_byte_ = false;
  std::vector<Node> nodes_;
  std::vector<std::int32_t> tokens_;
  std::vector<std::string> bytes_;
  std::array<std::uint32_t, 256> roots_{};  // node of each first byte, or the last
};

}  // namespace finetune
