#include "finetune/text/added_tokens.h"

#include <algorithm>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

bool word_before(std::string_view text, std::size_t at) {
  return at > 0 && is_word_character(code_point_before(text, at));
}

bool word_behind(std::string_view text, std::size_t at) {
  return at < text.size() && is_word_character(next_code_point(text, at));
}

std::size_t skip_space_back(std::string_view text, std::size_t at) {
  for (std::size_t before = at; at > 0 && is_white_space(code_point_before(text, before));) at = before;
  return at;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    std::size_t next = at;
    if (!is_white_space(next_code_point(text, next))) break;
    at = next;
  }
  return at;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder() : nodes_(1) {}

const std::uint32_t* AddedTokenFinder::child(const Node& node, unsigned char byte) const {
  const auto found =
      std::find_if(node.next.begin(), node.next.end(), [&](const auto& edge) { return edge.first == byte; });
  return found == node.next.end() ? nullptr : &found->second;
}

void AddedTokenFinder::add(std::string_view pattern, const AddedToken* token) {
  if (pattern.empty()) return;
  first_bytes_[static_cast<unsigned char>(pattern.front())] = true;
  std::uint32_t at = 0;
  for (const char character : pattern) {
    const auto byte = static_cast<unsigned char>(character);
    if (const std::uint32_t* next = child(nodes_[at], byte)) {
      at = *next;
      continue;
    }
    const auto made = static_cast<std::uint32_t>(nodes_.size());
    nodes_[at].next.emplace_back(byte, made);
    nodes_.emplace_back();
    at = made;
  }
  if (!nodes_[at].token) nodes_[at].token = token;
}

std::pair<const AddedToken*, std::size_t> AddedTokenFinder::longest_at(std::string_view text, std::size_t at) const {
  std::pair<const AddedToken*, std::size_t> longest{nullptr, 0};
  const Node* node = nodes_.data();
  for (std::size_t i = at; i < text.size(); ++i) {
    const std::uint32_t* next = child(*node, static_cast<unsigned char>(text[i]));
    if (!next) break;
    node = &nodes_[*next];
    if (node->token) longest = {node->token, i + 1 - at};
  }
  return longest;
}

std::vector<TextPart> AddedTokenFinder::split(std::string_view text, bool parse_special) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto [token, length] = first_bytes_[static_cast<unsigned char>(text[at])]
                                     ? longest_at(text, at)
                                     : std::pair<const AddedToken*, std::size_t>{};
    if (!token) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at + length;
    at = end;
    if (token->special && !parse_special) continue;
    if (token->single_word && (word_before(text, begin) || word_behind(text, end))) continue;
    if (token->lstrip) begin = std::max(skip_space_back(text, begin), done);
    if (token->rstrip) end = skip_space(text, end);
    if (begin > done) parts.push_back({text.substr(done, begin - done), nullptr});
    parts.push_back({text.substr(begin, end - begin), token});
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), nullptr});
  return parts;
}

}  // namespace finetune
