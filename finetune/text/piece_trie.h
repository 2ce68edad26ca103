// All pieces of a vocabulary that a text begins with, in one pass. Immutable; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace finetune {

class PieceTrie {
 public:
  /// Pieces with their values; empty ones are never found, the last one of equal pieces counts.
  explicit PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> pieces);

  /// Calls found(length, value) for each piece that `text` begins with, the shortest first.
  template <typename Found>
  void for_each_prefix(std::string_view text, const Found& found) const {
    std::uint32_t at = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      at = child(at, static_cast<unsigned char>(text[i]));
      if (at == 0) return;
      if (nodes_[at].value >= 0) found(i + 1, nodes_[at].value);
    }
  }

 private:
  struct Node {
    std::uint32_t first_child = 0;  // children are side by side, ordered by byte
    std::uint16_t children = 0;
    unsigned char byte = 0;
    std::int32_t value = -1;
  };
  // 0 where there is none.
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;

  std::vector<Node> nodes_;
};

}  // namespace finetune
