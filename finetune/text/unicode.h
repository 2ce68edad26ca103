// Small Unicode questions the tokeniser asks (through utf8proc): is it valid UTF-8, which class, which normal form.
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <functional>
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
/// Puts the lower case of a code point behind `text`.
void append_lowercased(std::string& text, char32_t code_point);
/// Category of the canonical order; 0 for what begins a new character.
int combining_class(char32_t code_point);

/// Without the white space at either end.
std::string_view strip_space(std::string_view text, bool left, bool right);

/// `append` puts what a code point becomes behind the text made so far.
std::string map_code_points(std::string_view text, const std::function<void(std::string&, char32_t)>& append);
/// The last code point of text[0, end), which is not empty; moves `end` to where it begins.
char32_t code_point_before(std::string_view text, std::size_t& end);
/// Where the grapheme cluster (what a reader calls a character) that begins at `at` ends.
std::size_t grapheme_end(std::string_view text, std::size_t at);

/// Letters, marks, decimal digits, connectors and joiners: what \w matches.
bool is_word_character(char32_t code_point);
/// Property White_Space.
bool is_white_space(char32_t code_point);
/// Categories Cc, Cf and Co.
bool is_control(char32_t code_point);
/// Categories Mn, Mc and Me.
bool is_mark(char32_t code_point);
/// Category Mn.
bool is_nonspacing_mark(char32_t code_point);
/// Category P, and the ASCII signs that have others.
bool is_punctuation(char32_t code_point);

}  // namespace finetune
