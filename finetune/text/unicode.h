// Small Unicode questions the tokeniser asks (through utf8proc): is it valid UTF-8, which class, which normal form.
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace finetune {

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// True if all of `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);
/// One U+FFFD for each maximal ill-formed part, as browsers do.
std::string repair_utf8(std::string_view text);
/// The code point at `at` of well-formed text; moves `at` behind it.
char32_t next_code_point(std::string_view text, std::size_t& at);
void append_utf8(std::string& text, char32_t code_point);

/// `text` must be well-formed.
std::string normalized(std::string_view text, NormalForm form);
std::string lowercased(std::string_view text);

/// Letters, marks, decimal digits, connectors and joiners: what \w matches.
bool is_word_character(char32_t code_point);
/// Property White_Space.
bool is_white_space(char32_t code_point);

}  // namespace finetune
