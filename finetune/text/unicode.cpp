#include "finetune/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

namespace finetune {
namespace {

struct Sequence {
  std::size_t length;  // bytes of the character, or of the ill-formed part
  bool valid;
};

unsigned byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

// The character that begins at `at`, or the longest start of one that is broken there.
Sequence sequence_at(std::string_view text, std::size_t at) {
  const unsigned lead = byte_at(text, at);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte's range is narrower after some leads: no overlong forms, no surrogates, nothing over U+10FFFF.
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= text.size() || byte_at(text, at + i) < low || byte_at(text, at + i) > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

bool between(char32_t value, char32_t low, char32_t high) { return value >= low && value <= high; }

struct FreeBuffer {
  void operator()(utf8proc_uint8_t* buffer) const { std::free(buffer); }
};

}  // namespace

bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (byte_at(text, at) < 0x80) {
      ++at;
      continue;
    }
    const Sequence sequence = sequence_at(text, at);
    if (!sequence.valid) return false;
    at += sequence.length;
  }
  return true;
}

std::string repair_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Sequence sequence = sequence_at(text, at);
    repaired += sequence.valid ? text.substr(at, sequence.length) : std::string_view("\xEF\xBF\xBD");
    at += sequence.length;
  }
  return repaired;
}

char32_t next_code_point(std::string_view text, std::size_t& at) {
  const unsigned lead = byte_at(text, at++);
  if (lead < 0x80) return lead;
  const int more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  char32_t value = lead & (0x3Fu >> more);
  for (int i = 0; i < more && at < text.size(); ++i) value = (value << 6) | (byte_at(text, at++) & 0x3Fu);
  return value;
}

void append_utf8(std::string& text, char32_t code_point) {
  utf8proc_uint8_t buffer[4];
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), buffer);
  text.append(buffer, buffer + length);
}

std::string normalized(std::string_view text, NormalForm form) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) return std::string(text);
  const bool compose = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  int options = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
  if (compatible) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* result = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &result, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, FreeBuffer> owned(result);
  if (length < 0) throw std::bad_alloc();  // the text is well-formed: memory is the only thing that can be missing
  return std::string(result, result + length);
}

void append_lowercased(std::string& text, char32_t code_point) {
  // The only capital whose small form is two characters.
  if (code_point == 0x130) {
    text += "i\xCC\x87";
  } else {
    append_utf8(text, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))));
  }
}

int combining_class(char32_t code_point) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(code_point))->combining_class;
}

char32_t code_point_before(std::string_view text, std::size_t& end) {
  --end;
  while (end > 0 && (byte_at(text, end) & 0xC0) == 0x80) --end;
  std::size_t at = end;
  return next_code_point(text, at);
}

std::string_view strip_space(std::string_view text, bool left, bool right) {
  std::size_t begin = 0;
  for (std::size_t next = 0; left && begin < text.size() && is_white_space(next_code_point(text, next));) begin = next;
  std::size_t end = text.size();
  for (std::size_t next = end; right && end > begin && is_white_space(code_point_before(text, next));) end = next;
  return text.substr(begin, end - begin);
}

std::string map_code_points(std::string_view text, const std::function<void(std::string&, char32_t)>& append) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) append(result, next_code_point(text, at));
  return result;
}

std::size_t grapheme_end(std::string_view text, std::size_t at) {
  utf8proc_int32_t state = 0;
  auto before = static_cast<utf8proc_int32_t>(next_code_point(text, at));
  while (at < text.size()) {
    std::size_t end = at;
    const auto next = static_cast<utf8proc_int32_t>(next_code_point(text, end));
    if (utf8proc_grapheme_break_stateful(before, next, &state)) break;
    before = next;
    at = end;
  }
  return at;
}

bool is_word_character(char32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: break;
  }
  const bool joiner = between(code_point, 0x200C, 0x200D);
  const bool circled_letter = between(code_point, 0x24B6, 0x24E9) || between(code_point, 0x1F130, 0x1F149) ||
                              between(code_point, 0x1F150, 0x1F169) || between(code_point, 0x1F170, 0x1F189);
  return joiner || circled_letter;
}

bool is_white_space(char32_t code_point) {
  if (between(code_point, 0x09, 0x0D) || code_point == 0x85) return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool is_control(char32_t code_point) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
}

bool is_nonspacing_mark(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point)) == UTF8PROC_CATEGORY_MN;
}

bool is_mark(char32_t code_point) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

bool is_punctuation(char32_t code_point) {
  const bool ascii_sign = between(code_point, 0x21, 0x2F) || between(code_point, 0x3A, 0x40) ||
                          between(code_point, 0x5B, 0x60) || between(code_point, 0x7B, 0x7E);
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
  return ascii_sign || (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO);
}

}  // namespace finetune
