#include "finetune/generate/token_trie.h"

#include <algorithm>

#include "finetune/generate/constraint.h"
#include "finetune/text/unicode.h"

namespace finetune {
namespace {

constexpr std::size_t kLongestToken = 4096;  // bytes; a longer one is not offered

// Whether the token adds its bytes wherever it stands. A part of a character reads as nothing alone.
bool adds_its_bytes(const Tokenizer& tokenizer, std::int32_t token, const std::string& bytes) {
  if (!is_utf8(bytes)) return true;
  const std::string alone = tokenizer.decode({&token, 1});
  return alone == bytes || (bytes.starts_with(' ') && alone == std::string_view(bytes).substr(1));
}

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ends)
    : vocabulary_size_(static_cast<std::size_t>(tokenizer.vocabulary_size())), bytes_(vocabulary_size_) {
  std::vector<std::int32_t> order;
  for (std::int32_t token = 0; token < tokenizer.vocabulary_size(); ++token) {
    const bool ending = std::find(ends.begin(), ends.end(), token) != ends.end();
    if (ending || !tokenizer.is_visible(token, true) || tokenizer.is_special(token)) continue;
    std::string bytes = tokenizer.token_bytes(token);
    if (bytes.empty() || bytes.size() > kLongestToken || !adds_its_bytes(tokenizer, token, bytes)) continue;
    bytes_[static_cast<std::size_t>(token)] = std::move(bytes);
    order.push_back(token);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return bytes_of(a) < bytes_of(b); });
  std::vector<std::size_t> open;  // nodes on the way to the last token
  const auto close = [&](std::size_t depth) {
    for (; open.size() > depth; open.pop_back()) nodes_[open.back()].end = static_cast<std::uint32_t>(nodes_.size());
  };
  std::string_view before;
  for (const std::int32_t token : order) {
    const std::string_view bytes = bytes_of(token);
    const auto common = static_cast<std::size_t>(
        std::mismatch(bytes.begin(), bytes.end(), before.begin(), before.end()).first - bytes.begin());
    close(common);
    for (std::size_t depth = common; depth < bytes.size(); ++depth) {
      open.push_back(nodes_.size());
      nodes_.push_back({0, static_cast<std::uint32_t>(tokens_.size()), static_cast<std::uint16_t>(depth),
                        static_cast<std::uint8_t>(bytes[depth])});
      depth_ = std::max(depth_, static_cast<std::uint16_t>(depth + 1));
    }
    tokens_.push_back(token);
    before = bytes;
  }
  close(0);
  nodes_.push_back({static_cast<std::uint32_t>(nodes_.size() + 1), static_cast<std::uint32_t>(tokens_.size()), 0, 0});
  const std::size_t last = nodes_.size() - 1;
  roots_.fill(static_cast<std::uint32_t>(last));
  for (std::size_t at = 0; at < last; at = nodes_[at].end) roots_[nodes_[at].byte] = static_cast<std::uint32_t>(at);
  const auto alone = [&](unsigned from, unsigned to) {
    for (unsigned byte = from; byte <= to; ++byte) {
      const std::size_t node = roots_[byte];
      if (node == last || nodes_[node].tokens == nodes_[node + 1].tokens) return false;
    }
    return true;
  };
  writes_any_byte_ = alone(0x20, 0x7e) && alone(0x80, 0xbf) && alone(0xc2, 0xf4);
}

std::size_t TokenTrie::child(std::size_t begin, std::size_t end, unsigned char byte) const {
  for (std::size_t at = begin; at < end; at = nodes_[at].end) {
    if (nodes_[at].byte == byte) return at;
  }
  return nodes_.size() - 1;
}

std::int64_t TokenTrie::fewest_tokens(std::string_view text) const {
  const std::size_t last = nodes_.size() - 1;
  std::vector<std::int64_t> fewest(text.size() + 1, kNeverFinished);  // for what stands behind each place
  fewest[text.size()] = 0;
  for (std::size_t from = text.size(); from-- > 0;) {
    std::size_t node = roots_[static_cast<unsigned char>(text[from])];
    for (std::size_t at = from; node != last;) {
      ++at;
      if (nodes_[node].tokens != nodes_[node + 1].tokens && fewest[at] != kNeverFinished)
        fewest[from] = std::min(fewest[from], fewest[at] + 1);
      if (at == text.size()) break;
      node = child(node + 1, nodes_[node].end, static_cast<unsigned char>(text[at]));
    }
  }
  return fewest[0];
}

}  // namespace finetune
