#include "finetune/text/byte_token.h"

#include <charconv>

namespace finetune {

std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  unsigned byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(byte);
}

std::string ByteFallback::token_of_byte(unsigned byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + '>';
}

bool ByteFallback::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
  const std::size_t before = ids.size();
  for (const char byte : text) {
    ids.push_back(ids_[static_cast<unsigned char>(byte)]);
    if (ids.back() >= 0) continue;
    ids.resize(before);
    return false;
  }
  return true;
}

}  // namespace finetune
