// The byte-level alphabet of GPT-2: one printable character for each of the 256 bytes, in which tokenizer.json spells
// its tokens. Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "finetune/text/text_rewriter.h"

namespace finetune {

/// Bytes as tokenizer.json writes them: " a" -> "\u0120a".
std::string to_byte_alphabet(std::string_view bytes);
/// The same as a step of a rewriting.
void spell_bytes(std::string_view bytes, TextRewriter& rewriter);
/// The reverse; nullopt if a character is not of the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view token);

}  // namespace finetune
