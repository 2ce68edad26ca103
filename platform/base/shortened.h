// Text as a message may carry it into a log, an answer or the database. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace platform {

/// `text` in at most `limit` bytes (3 at least), cut between two characters and with "..." behind the cut. Bytes that
/// are not UTF-8 and NUL, which PostgreSQL refuses, become '?'.
std::string shortened(std::string_view text, std::size_t limit);
/// The length of the UTF-8 character at `at`, or 0 if there is none.
std::size_t character_length(std::string_view text, std::size_t at);
/// True for UTF-8 without NUL: what JSON, the database and a log can hold.
bool is_plain_text(std::string_view text);

}  // namespace platform
