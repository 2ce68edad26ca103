#include "finetune/text/text_rewriter.h"

#include <algorithm>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

std::vector<ByteSpan> characters_of(std::string_view text, ByteSpan stretch) {
  std::vector<ByteSpan> characters;
  for (std::size_t at = stretch.begin; at < stretch.end;) {
    const std::size_t begin = at;
    next_code_point(text, at);
    characters.push_back({begin, at});
  }
  return characters;
}

}  // namespace

ByteSpan TracedText::span(std::size_t begin, std::size_t end) const {
  if (begin < end) return {origins[begin].begin, origins[end - 1].end};
  const std::size_t place = begin < text.size() ? origins[begin].begin : origins[text.size() - 1].end;
  return {place, place};
}

Origins own_origins(std::string_view text, std::size_t at) {
  Origins origins;
  origins.reserve(text.size());
  for (const ByteSpan& character : characters_of(text, {0, text.size()}))
    origins.insert(origins.end(), character.end - character.begin, {at + character.begin, at + character.end});
  return origins;
}

void TextRewriter::keep(std::size_t begin, std::size_t end) {
  text_ += from_.text.substr(begin, end - begin);
  if (traces()) origins_.insert(origins_.end(), from_.origins + begin, from_.origins + end);
}

void TextRewriter::put(std::string_view bytes, std::size_t begin, std::size_t end) {
  text_ += bytes;
  if (traces()) origins_.resize(text_.size(), from_.span(begin, end));
}

void TextRewriter::map(const std::function<void(std::string&, char32_t)>& append) {
  text_.reserve(from_.text.size());
  for (std::size_t at = 0; at < from_.text.size();) {
    const std::size_t begin = at;
    append(text_, next_code_point(from_.text, at));
    if (traces()) origins_.resize(text_.size(), from_.span(begin, at));
  }
}

void put_characters(TextRewriter& rewriter, std::string_view text, std::string_view bytes, ByteSpan stretch,
                    CharacterOrder order) {
  if (!rewriter.traces() || stretch.begin == stretch.end) return rewriter.put(bytes, stretch.begin, stretch.end);
  const std::vector<ByteSpan> old = characters_of(text, stretch), made = characters_of(bytes, {0, bytes.size()});
  for (std::size_t i = 0; i < made.size(); ++i) {
    std::size_t from = std::min(i, old.size() - 1);
    if (order == CharacterOrder::kComposed && i > 0)
      from = i + old.size() > made.size() ? i + old.size() - made.size() : 0;
    rewriter.put(bytes.substr(made[i].begin, made[i].end - made[i].begin), old[from].begin, old[from].end);
  }
}

}  // namespace finetune
