// Tokens that stand for one byte, "<0xEC>": what SentencePiece vocabularies fall back to for a character they lack.
// Pure functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

/// The byte that the token stands for; nullopt where it is another token.
std::optional<char> byte_of_token(std::string_view token);

/// The ids of the 256 byte tokens in one vocabulary.
class ByteFallback {
 public:
  /// `id_of(token)` is the id of a token, or -1.
  template <typename IdOf>
  explicit ByteFallback(const IdOf& id_of) {
    for (unsigned byte = 0; byte < 256; ++byte) ids_[byte] = id_of(token_of_byte(byte));
  }
  /// Appends the ids of the bytes of `text`; false, and nothing appended, where the vocabulary lacks one of them.
  bool encode(std::string_view text, std::vector<std::int32_t>& ids) const;

 private:
  static std::string token_of_byte(unsigned byte);
  std::array<std::int32_t, 256> ids_{};
};

}  // namespace finetune
