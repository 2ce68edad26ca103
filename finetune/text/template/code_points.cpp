#include "finetune/text/template/code_points.h"

#include <utf8proc.h>

#include <cstring>
#include <map>

namespace finetune::jinja {
namespace {

utf8proc_category_t category(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

// Characters whose large form is longer than one.
const std::map<char32_t, std::string_view>& long_upper() {
  static const std::map<char32_t, std::string_view> kForms{{U'ß', "SS"}, {U'ŉ', "ʼN"}, {U'ǰ', "J̌"},   {U'ﬀ', "FF"},
                                                           {U'ﬁ', "FI"}, {U'ﬂ', "FL"}, {U'ﬃ', "FFI"}, {U'ﬄ', "FFL"},
                                                           {U'ﬅ', "ST"}, {U'ﬆ', "ST"}};
  return kForms;
}

void append_upper(std::string& out, char32_t c) {
  const auto found = long_upper().find(c);
  if (found != long_upper().end()) {
    out += found->second;
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
}

void append_title(std::string& out, char32_t c) {
  const auto found = long_upper().find(c);
  if (found == long_upper().end()) {
    append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
    return;
  }
  out += found->second.substr(0, 1);
  out += lower(found->second.substr(1));
}

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT; }

// A sigma at the end of a word has a small form of its own.
bool ends_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (end < text.size()) {
    std::size_t at = end;
    if (is_cased(next_code_point(text, at))) return false;
  }
  std::size_t before = begin;
  while (before > 0 && (static_cast<unsigned char>(text[--before]) & 0xC0) == 0x80) {
  }
  return begin > 0 && is_cased(next_code_point(text, before));
}

void append_lower(std::string& out, std::string_view text, std::size_t begin, std::size_t end, char32_t c) {
  if (c == U'İ') {
    out += "i̇";
  } else if (c == U'Σ' && ends_word(text, begin, end)) {
    out += "ς";
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

template <class Matches>
std::string_view stripped_where(std::string_view text, bool left, bool right, Matches matches) {
  std::size_t begin = 0;
  while (left && begin < text.size()) {
    std::size_t at = begin;
    if (!matches(next_code_point(text, at))) break;
    begin = at;
  }
  std::size_t end = text.size();
  while (right && end > begin) {
    std::size_t at = end - 1;
    while (at > begin && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    std::size_t next = at;
    if (!matches(next_code_point(text, next))) break;
    end = at;
  }
  return text.substr(begin, end - begin);
}

}  // namespace

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

std::vector<std::size_t> code_point_offsets(std::string_view text) {
  std::vector<std::size_t> offsets;
  offsets.reserve(text.size() + 1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) offsets.push_back(i);
  }
  offsets.push_back(text.size());
  return offsets;
}

bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

bool is_letter(char32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_digit(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_ND || c == U'²' || c == U'³' || c == U'¹' || c == 0x2070 ||
         (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) || (c >= 0x2460 && c <= 0x2468);
}

bool is_numeric(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO;
}

bool is_printable(char32_t c) {
  if (c == U' ') return true;
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_SO;
}

bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU; }
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL || c == U'ª' || c == U'º'; }

bool has_only_case(std::string_view text, bool large) {
  bool found = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (large ? is_lower(c) : is_upper(c)) return false;
    found = found || (large ? is_upper(c) : is_lower(c));
  }
  return found;
}

std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return found ? static_cast<std::size_t>(static_cast<const char*>(found) - text.data()) : std::string_view::npos;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = at;
    const char32_t c = next_code_point(text, at);
    const bool breaks =
        (c >= U'\n' && c <= U'\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!breaks) continue;
    if (c == U'\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string_view stripped(std::string_view text, bool left, bool right) {
  return stripped_where(text, left, right, is_space);
}

std::string_view stripped(std::string_view text, bool left, bool right, std::string_view characters) {
  return stripped_where(text, left, right, [&](char32_t c) {
    std::string one;
    append_utf8(one, c);
    return characters.find(one) != std::string_view::npos;
  });
}

std::string upper(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) append_upper(out, next_code_point(text, at));
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    append_lower(out, text, begin, at, c);
  }
  return out;
}

std::string capitalized(std::string_view text) {
  if (text.empty()) return {};
  std::size_t at = 0;
  std::string out;
  append_title(out, next_code_point(text, at));
  return out + lower(text.substr(at));
}

std::string titled(std::string_view text) {
  std::string out;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    if (inside) {
      append_lower(out, text, begin, at, c);
    } else {
      append_title(out, c);
    }
    inside = is_cased(c);
  }
  return out;
}

}  // namespace finetune::jinja
