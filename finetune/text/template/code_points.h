// Python's view of text: positions and lengths in code points, white space, letters and case as str has them.
// All texts must be well-formed UTF-8. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/unicode.h"

namespace finetune::jinja {

std::size_t count_code_points(std::string_view text);
/// The byte where each code point begins, and the length at the end.
std::vector<std::size_t> code_point_offsets(std::string_view text);

/// str.isspace of one character.
bool is_space(char32_t code_point);
bool is_letter(char32_t code_point);
bool is_digit(char32_t code_point);
bool is_numeric(char32_t code_point);
/// What repr leaves as it is.
bool is_printable(char32_t code_point);
bool is_upper(char32_t code_point);
bool is_lower(char32_t code_point);
/// str.isupper (`large`) and str.islower: letters of the one case and none of the other.
bool has_only_case(std::string_view text, bool large);

/// std::string_view::find in linear time for every needle.
std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from = 0);
/// Lines without their ends, as str.splitlines.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

/// Without the white space, or without all of `characters`, at the ends that are named.
std::string_view stripped(std::string_view text, bool left, bool right);
std::string_view stripped(std::string_view text, bool left, bool right, std::string_view characters);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
/// First letter large, the rest small.
std::string capitalized(std::string_view text);
/// str.title: each letter after something that is no letter is large.
std::string titled(std::string_view text);

}  // namespace finetune::jinja
