// The "decoder" of a tokenizer.json: makes text of tokens. decoder.cpp has the table of kinds. Immutable; any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "platform/base/json.h"

namespace finetune {

class Decoder {
 public:
  /// `value` may be null: tokens are then joined by spaces. Throws kInvalidInput naming a kind that is not supported.
  explicit Decoder(const platform::json::value& value);
  /// Tokens as they are spelled in the vocabulary, to valid UTF-8. Throws kTooLarge when the file's rules make too much
  /// of them.
  std::string decode(std::vector<std::string> tokens) const;
  /// The bytes that one token adds inside a text: a byte token its byte, even if that is half a character.
  std::string bytes_of(const std::string& token) const;
  /// True if ByteLevel is the only step: the text is then the bytes of all tokens, one behind the other.
  bool byte_level() const { return byte_level_; }

 private:
  std::vector<std::function<void(std::vector<std::string>&)>> steps_;
  bool byte_level_ = false;
  bool byte_tokens_ = false;
};

}  // namespace finetune
