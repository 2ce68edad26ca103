// Conversations and plain texts of a base whose tokenizer has anneal-nano's control tokens:
//   <|begin|> ( <|system|> | <|user|> | <|assistant|> ) content <|end|> ...        conversations
//   <|begin|> text <|end|>                                                         plain text
// A user's text never becomes a control token. Bases without these tokens take plain text (and prompt with completion,
// see train/example_encoding.h) with the begin and end tokens of their own tokenizer_config.json. Functions are pure;
// any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/tokenizer.h"
#include "platform/dataset/example.h"

namespace finetune {

/// Control tokens of anneal-nano, in id order from 0: <|pad|> <|begin|> <|end|> <|system|> <|user|> <|assistant|>
/// <|slot|>. <|slot|> is reserved: nothing is encoded as it, the place of a sensor value holds no token at all (id -1).
const std::vector<std::string>& nano_control_tokens();

/// supervised[i] is 1 where token i is a target of the loss (predicted from the tokens before it).
struct TokenSequence {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> supervised;
};

/// Whole conversation; supervised are the assistant turns with their <|end|>. Throws kInvalidInput on an unknown role,
/// or where the tokenizer lacks the control tokens.
TokenSequence format_messages(const Tokenizer& tokenizer, const std::vector<platform::Message>& messages);
/// The same up to and with the <|assistant|> that the model continues.
std::vector<std::int32_t> format_generation_prompt(const Tokenizer& tokenizer,
                                                   const std::vector<platform::Message>& messages);
/// Plain text; everything after the begin token is supervised.
TokenSequence format_text(const Tokenizer& tokenizer, std::string_view text);

}  // namespace finetune
