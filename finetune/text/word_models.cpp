#include "finetune/text/word_models.h"

#include <algorithm>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

bool begins_character(std::string_view text, std::size_t at) {
  return at >= text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++at) count += begins_character(text, at) ? 1 : 0;
  return count;
}

}  // namespace

void WordLevel::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  const auto found = vocabulary_.find(word);
  ids.push_back(found != vocabulary_.end() ? found->second : unknown_.require_id(word));
}

WordPiece::WordPiece(TokenToId vocabulary, UnknownToken unknown, std::string prefix, std::size_t max_characters)
    : vocabulary_(std::move(vocabulary)),
      unknown_(std::move(unknown)),
      prefix_(std::move(prefix)),
      max_characters_(max_characters) {
  for (const auto& [token, id] : vocabulary_) longest_token_bytes_ = std::max(longest_token_bytes_, token.size());
}

std::pair<std::int32_t, std::size_t> WordPiece::longest(std::string_view word, std::size_t begin) const {
  std::string piece = begin > 0 ? prefix_ : std::string();
  const std::size_t before = piece.size();
  piece += word.substr(begin, longest_token_bytes_);
  for (; piece.size() > before; piece.pop_back()) {
    const std::size_t end = begin + piece.size() - before;
    if (!begins_character(word, end)) continue;
    if (const auto found = vocabulary_.find(piece); found != vocabulary_.end()) return {found->second, end};
  }
  return {-1, begin};
}

void WordPiece::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  const std::size_t first = ids.size();
  bool known = count_characters(word) <= max_characters_;
  for (std::size_t at = 0; known && at < word.size();) {
    const auto [id, end] = longest(word, at);
    known = id >= 0;
    ids.push_back(id);
    at = end;
  }
  if (known) return;
  ids.resize(first);
  ids.push_back(unknown_.require_id(word));
}

}  // namespace finetune
