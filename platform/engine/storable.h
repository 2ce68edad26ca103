// What a step says in words or numbers, made fit for the database: text becomes valid UTF-8 without NUL, numbers that
// JSON has no word for become null. A step that says it badly still says it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace platform {

/// `text` with every byte that is no UTF-8, and every NUL, replaced by U+FFFD; at most `limit_bytes`, cut between
/// characters.
std::string storable_text(std::string_view text, std::size_t limit_bytes = 8192);
/// `value` with non-finite numbers replaced by null and all text storable.
json::value storable(const json::value& value);

}  // namespace platform
