// What anneal-nano's own tokenizers write conversations and plain texts with:
//   <|begin|> ( <|system|> | <|user|> | <|assistant|> ) content <|end|> ...        conversations
//   <|begin|> text <|end|>                                                         plain text
// Conversations of every base, ours included, go through its chat template (template/chat_encoder.h); this is the
// template of ours. Functions are pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/tokenizer.h"

namespace finetune {

/// Control tokens of anneal-nano, in id order from 0: <|pad|> <|begin|> <|end|> <|system|> <|user|> <|assistant|>
/// <|slot|>. <|slot|> is reserved: nothing is encoded as it, the place of a sensor value holds no token at all (id -1).
const std::vector<std::string>& nano_control_tokens();
/// The chat_template.jinja that belongs to these tokens: what an assistant writes, its <|end|> included, is a
/// generation block; a role that has no token is refused.
std::string_view nano_chat_template();

/// supervised[i] is 1 where token i is a target of the loss (predicted from the tokens before it).
struct TokenSequence {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> supervised;
};

/// Plain text of any base, behind what its tokenizer puts before a text and with the eos_token of its
/// tokenizer_config.json; everything after the opening is supervised.
TokenSequence format_text(const Tokenizer& tokenizer, std::string_view text);

}  // namespace finetune
