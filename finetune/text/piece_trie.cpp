#include "finetune/text/piece_trie.h"

#include <algorithm>

namespace finetune {

PieceTrie::PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> pieces) : nodes_(1) {
  std::stable_sort(pieces.begin(), pieces.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  // Breadth first: a node is a range of pieces that agree in their first `depth` bytes.
  struct Range {
    std::uint32_t node;
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };
  std::vector<Range> level{{0, 0, pieces.size(), 0}};
  while (!level.empty()) {
    std::vector<Range> next;
    for (Range range : level) {
      for (; range.begin < range.end && pieces[range.begin].first.size() == range.depth; ++range.begin) {
        if (range.depth > 0) nodes_[range.node].value = pieces[range.begin].second;
      }
      nodes_[range.node].first_child = static_cast<std::uint32_t>(nodes_.size());
      while (range.begin < range.end) {
        const char byte = pieces[range.begin].first[range.depth];
        const std::size_t begin = range.begin;
        while (range.begin < range.end && pieces[range.begin].first[range.depth] == byte) ++range.begin;
        next.push_back({static_cast<std::uint32_t>(nodes_.size()), begin, range.begin, range.depth + 1});
        nodes_.push_back({.byte = static_cast<unsigned char>(byte)});
        ++nodes_[range.node].children;
      }
    }
    level = std::move(next);
  }
}

std::uint32_t PieceTrie::child(std::uint32_t node, unsigned char byte) const {
  const auto begin = nodes_.begin() + nodes_[node].first_child;
  const auto end = begin + nodes_[node].children;
  const auto found = std::lower_bound(begin, end, byte, [](const Node& n, unsigned char b) { return n.byte < b; });
  return found == end || found->byte != byte ? 0 : static_cast<std::uint32_t>(found - nodes_.begin());
}

}  // namespace finetune
