#include "finetune/text/oniguruma_cursor.h"

#include <algorithm>
#include <string>

#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr unsigned kLargestNumber = 1'000'000;
constexpr char32_t kNoCharacter = 0x110000;
constexpr std::size_t kMostHexadecimalDigits = 8;
constexpr std::size_t kMostOctalDigits = 11;

// The digit's value, or 16.
unsigned digit_of(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return 16;
}

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

OnigurumaCursor::OnigurumaCursor(std::string_view expression) : expression_(expression) {
  if (!is_utf8(expression)) throw Error(ErrorCode::kInvalidInput, "regular expression is not UTF-8; write it anew");
}

bool OnigurumaCursor::take(std::string_view text) {
  if (!sees(text)) return false;
  at_ += text.size();
  return true;
}

char32_t OnigurumaCursor::take() {
  if (at_end()) refuse("it ends in the middle of something");
  return next_code_point(expression_, at_);
}

std::string_view OnigurumaCursor::take_until(std::string_view end) {
  const std::size_t found = expression_.find(end, at_);
  if (found == std::string_view::npos) refuse("'" + std::string(end) + "' is missing");
  const std::string_view before = expression_.substr(at_, found - at_);
  at_ = found + end.size();
  return before;
}

std::optional<unsigned> OnigurumaCursor::take_number() {
  const std::size_t begin = at_;
  unsigned number = 0;
  for (; !at_end() && digit_of(expression_[at_]) < 10; ++at_)
    number = std::min(number * 10 + digit_of(expression_[at_]), kLargestNumber);
  return at_ > begin ? std::optional(number) : std::nullopt;
}

OnigurumaCursor::Digits OnigurumaCursor::take_digits(unsigned base, std::size_t most) {
  Digits digits;
  for (; digits.count < most && !at_end() && digit_of(expression_[at_]) < base; ++at_, ++digits.count)
    digits.value = std::min<char32_t>(digits.value * base + digit_of(expression_[at_]), kNoCharacter);
  return digits;
}

char32_t OnigurumaCursor::checked(char32_t character) const {
  const bool surrogate = character >= 0xD800 && character < 0xE000;
  if (character >= kNoCharacter || surrogate) refuse("no character has this number");
  return character;
}

char32_t OnigurumaCursor::take_braced(unsigned base) {
  const Digits digits = take_digits(base, base == 16 ? kMostHexadecimalDigits : kMostOctalDigits);
  if (digits.count == 0) refuse("a character's number is missing in the braces");
  if (!take("}")) refuse("braces that hold more than one number are not supported; write each character by itself");
  return checked(digits.value);
}

// Such numbers are bytes of UTF-8, not characters.
char32_t OnigurumaCursor::whole_character(char32_t first_byte, unsigned base) {
  if (first_byte < 0x80) return first_byte;
  const std::size_t length = first_byte < 0xE0 ? 2 : first_byte < 0xF0 ? 3 : 4;
  std::string bytes(1, static_cast<char>(first_byte));
  while (bytes.size() < length && take(base == 16 ? "\\x" : "\\"))
    bytes += static_cast<char>(take_digits(base, base == 16 ? 2 : 3).value & 0xFF);
  if (bytes.size() != length || !is_utf8(bytes))
    refuse("numbers of bytes that are no whole character; write \\x{...} with the character's own number");
  std::size_t at = 0;
  return next_code_point(bytes, at);
}

char32_t OnigurumaCursor::take_hexadecimal_byte() {
  const Digits digits = take_digits(16, 2);
  if (digits.count == 0) refuse("\\x without a number");
  return whole_character(digits.value, 16);
}

char32_t OnigurumaCursor::take_octal(std::size_t most) {
  const Digits digits = take_digits(8, most);
  if (digits.value > 0xFF) refuse("a byte over 255");
  return whole_character(digits.value, 8);
}

std::optional<char32_t> OnigurumaCursor::take_numbered_character() {
  static constexpr std::string_view kLetters = "aefnrtv";
  static constexpr std::string_view kCharacters = "\a\x1B\f\n\r\t\v";
  if (at_end()) refuse("a backslash at its end");
  const std::size_t letter = kLetters.find(expression_[at_]);
  if (letter != std::string_view::npos) {
    ++at_;
    return static_cast<char32_t>(kCharacters[letter]);
  }
  if (take("x{")) return take_braced(16);
  if (take("o{")) return take_braced(8);
  if (take("x")) return take_hexadecimal_byte();
  if (sees("0")) return take_octal(3);
  if (take("u")) {
    const Digits digits = take_digits(16, 4);
    if (digits.count != 4) refuse("\\u without four digits");
    return checked(digits.value);
  }
  if (take("c")) {
    if (at_end() || !is_ascii_letter(expression_[at_])) refuse("\\c without a letter");
    return take() & 0x1F;
  }
  if (sees("C") || sees("M")) refuse("\\C- and \\M- are not supported; write \\x{...}");
  return std::nullopt;
}

void OnigurumaCursor::refuse(std::string_view what) const {
  throw Error(ErrorCode::kInvalidInput, "regular expression '" + repair_utf8(expression_.substr(0, 80)) + "', byte " +
                                            std::to_string(at_) + ": " + std::string(what));
}

}  // namespace finetune
