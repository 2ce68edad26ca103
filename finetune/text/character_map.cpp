#include "finetune/text/character_map.h"

#include "finetune/text/replacement.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

// Longer clusters are mapped a character at a time.
constexpr std::size_t kShortCluster = 6;
constexpr std::uint32_t kLeaf = 0x80000000u;

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(ErrorCode::kCorrupt, "tokenizer.json: normalizer.precompiled_charsmap " + what + "; fetch the file again",
              "normalizer.precompiled_charsmap");
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::string from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) corrupt("is not base64");
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xFFFFFFu;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFFu);
  }
  return bytes;
}

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::uint32_t label(std::uint32_t unit) { return unit & (kLeaf | 0xFFu); }
std::uint32_t offset(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200u) >> 6); }

}  // namespace

CharacterMap::CharacterMap(std::string_view base64) {
  const std::string bytes = from_base64(base64);
  if (bytes.size() < 4) corrupt("is too short");
  const std::size_t trie_bytes = little_endian(bytes, 0);
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > bytes.size() - 4) corrupt("has a table of a wrong length");
  for (std::size_t at = 4; at < 4 + trie_bytes; at += 4) units_.push_back(little_endian(bytes, at));
  texts_ = bytes.substr(4 + trie_bytes);
  if (!is_utf8(texts_)) corrupt("holds text that is not UTF-8");
}

std::optional<std::string_view> CharacterMap::find(std::string_view key) const {
  std::size_t at = offset(units_[0]);
  for (const char character : key) {
    const auto byte = static_cast<unsigned char>(character);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || label(units_[at]) != byte) return std::nullopt;
    const std::uint32_t unit = units_[at];
    at ^= offset(unit);
    if ((unit & 0x100u) == 0) continue;
    if (at >= units_.size()) return std::nullopt;
    const std::size_t begin = units_[at] & ~kLeaf;
    if (begin > texts_.size()) return std::nullopt;
    return std::string_view(texts_).substr(begin, texts_.find('\0', begin) - begin);
  }
  return std::nullopt;
}

void CharacterMap::apply(std::string_view text, TextRewriter& rewriter) const {
  const auto add = [&](std::string_view part, std::size_t begin, std::size_t end) {
    put_characters(rewriter, text, part, {begin, end}, CharacterOrder::kByIndex);
    if (rewriter.size() > text_limit(text.size())) corrupt("makes a text too long for memory");
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = grapheme_end(text, at);
    const auto whole = end - at < kShortCluster ? find(text.substr(at, end - at)) : std::nullopt;
    if (whole) add(*whole, at, end);
    while (at < end) {
      const std::size_t begin = at;
      next_code_point(text, at);
      const std::string_view character = text.substr(begin, at - begin);
      if (!whole) add(find(character).value_or(character), begin, at);
    }
  }
}

}  // namespace finetune
