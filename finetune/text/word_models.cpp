#include "finetune/text/word_models.h"

#include <algorithm>

namespace finetune {
namespace {

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// The tokens that begin with `prefix`, without it.
PieceTrie trie_of(const TokenToId& vocabulary, std::string_view prefix) {
  std::vector<std::pair<std::string_view, std::int32_t>> pieces;
  for (const auto& [token, id] : vocabulary) {
    if (token.starts_with(prefix)) pieces.emplace_back(std::string_view(token).substr(prefix.size()), id);
  }
  return PieceTrie(std::move(pieces));
}

}  // namespace

void WordLevel::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  const auto found = vocabulary_.find(word);
  ids.push_back(found != vocabulary_.end() ? found->second : unknown_.require_id(word));
}

void WordLevel::encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const {
  std::vector<std::int32_t> ids;
  encode(word, ids);
  pieces.push_back({ids.front(), {0, word.size()}});
}

WordPiece::WordPiece(const TokenToId& vocabulary, UnknownToken unknown, std::string_view prefix,
                     std::size_t max_characters)
    : first_(trie_of(vocabulary, "")),
      later_(trie_of(vocabulary, prefix)),
      unknown_(std::move(unknown)),
      max_characters_(max_characters) {}

void WordPiece::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  std::vector<TokenPiece> pieces;
  encode_pieces(word, pieces);
  for (const TokenPiece& piece : pieces) ids.push_back(piece.id);
}

void WordPiece::encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const {
  const std::size_t before = pieces.size();
  bool known = count_characters(word) <= max_characters_;
  for (std::size_t at = 0; known && at < word.size();) {
    std::size_t longest = 0;
    std::int32_t piece = 0;
    (at == 0 ? first_ : later_).for_each_prefix(word.substr(at), [&](std::size_t length, std::int32_t id) {
      longest = length;
      piece = id;
    });
    known = longest > 0;
    pieces.push_back({piece, {at, at + longest}});
    at += longest;
  }
  if (known) return;
  pieces.resize(before);
  pieces.push_back({unknown_.require_id(word), {0, word.size()}});
}

}  // namespace finetune
