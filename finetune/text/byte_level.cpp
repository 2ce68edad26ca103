#include "finetune/text/byte_level.h"

#include <array>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int, 0x144> byte{};  // -1 where the character is not of the alphabet
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    alphabet.character[byte] = stands_for_itself(byte) ? byte : next++;
    alphabet.byte[alphabet.character[byte]] = static_cast<int>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string token;
  for (const char byte : bytes) append_utf8(token, kAlphabet.character[static_cast<unsigned char>(byte)]);
  return token;
}

void spell_bytes(std::string_view bytes, TextRewriter& rewriter) {
  for (std::size_t i = 0; i < bytes.size(); ++i) rewriter.put(to_byte_alphabet(bytes.substr(i, 1)), i, i + 1);
}

std::optional<std::string> from_byte_alphabet(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const char32_t character = next_code_point(token, at);
    if (character >= kAlphabet.byte.size() || kAlphabet.byte[character] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[character]);
  }
  return bytes;
}

}  // namespace finetune
