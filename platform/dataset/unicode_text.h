// Text as Anneal keeps it: valid UTF-8 in normal form C, so that one Korean syllable is one thing however it was typed.
// Applied where records come in and where a prediction is asked. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace platform {

/// Throws kInvalidInput with the byte position if `text` is not UTF-8.
std::string normalized_text(std::string_view text);
/// Every string and key inside `value`.
void normalize_strings(json::value& value);

}  // namespace platform
