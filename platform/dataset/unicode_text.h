// Text as Anneal keeps it: valid UTF-8 in normal form C, so that one Korean syllable is one thing however it was typed.
// Applied where records come in and where a prediction is asked. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace platform {

/// Throws kInvalidInput with the byte position if `text` is not UTF-8.
std::string normalized_text(std::string_view text);
/// The number of characters if each is a letter, a decimal digit, a mark on one of these or in `others`; 0 if any is
/// not, cannot be seen, or `text` is not UTF-8.
std::size_t word_length(std::string_view text, std::string_view others);
/// Every string and key inside `value`.
void normalize_strings(json::value& value);

}  // namespace platform
