#include "finetune/text/template/literals.h"

#include <array>
#include <charconv>
#include <limits>

#include "finetune/text/template/code_points.h"

namespace finetune::jinja {
namespace {

using platform::ErrorCode;

bool is_digit_of(char c, int base) {
  const char low = static_cast<char>(c | 0x20);
  const int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'z' ? low - 'a' + 10 : 99;
  return digit < base;
}

// The length of digits with single underscores between them.
std::size_t digits_at(std::string_view text, std::size_t at, int base) {
  std::size_t end = at;
  while (end < text.size()) {
    if (is_digit_of(text[end], base)) {
      ++end;
    } else if (text[end] == '_' && end > at && end + 1 < text.size() && is_digit_of(text[end + 1], base)) {
      ++end;
    } else {
      break;
    }
  }
  return end - at;
}

int base_of_prefix(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 10;
  switch (text[1] | 0x20) {
    case 'x': return 16;
    case 'o': return 8;
    case 'b': return 2;
    default: return 10;
  }
}

std::string without_underscores(std::string_view text) {
  std::string plain(text);
  std::erase(plain, '_');
  return plain;
}

std::size_t float_length(std::string_view source, std::size_t at) {
  std::size_t end = at + digits_at(source, at, 10);
  const std::size_t whole = end;
  if (end < source.size() && source[end] == '.') {
    const std::size_t fraction = digits_at(source, end + 1, 10);
    if (fraction > 0) end += 1 + fraction;
  }
  if (end < source.size() && (source[end] | 0x20) == 'e') {
    std::size_t exponent = end + 1;
    if (exponent < source.size() && (source[exponent] == '+' || source[exponent] == '-')) ++exponent;
    const std::size_t digits = digits_at(source, exponent, 10);
    if (digits > 0) end = exponent + digits;
  }
  return end == whole ? 0 : end - at;
}

std::size_t escape_digits(char letter) {
  switch (letter) {
    case 'x': return 2;
    case 'u': return 4;
    case 'U': return 8;
    default: return 0;
  }
}

void append_code_point_escape(std::string& out, std::string_view content, std::size_t& at, std::size_t digits,
                              int line) {
  std::uint32_t code = 0;
  const std::string_view text = content.substr(at, digits);
  const auto read = std::from_chars(text.data(), text.data() + text.size(), code, 16);
  const bool whole = text.size() == digits && read.ptr == text.data() + digits;
  if (!whole || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    throw TemplateError(ErrorCode::kInvalidInput, line,
                        "a text has a broken escape: \\" + std::string(content.substr(at - 1, digits + 1)));
  }
  append_utf8(out, code);
  at += digits;
}

void append_octal(std::string& out, std::string_view content, std::size_t& at) {
  char32_t code = 0;
  for (int digits = 0; digits < 3 && at < content.size() && is_digit_of(content[at], 8); ++digits) {
    code = code * 8 + static_cast<char32_t>(content[at++] - '0');
  }
  append_utf8(out, code);
}

void append_escape(std::string& out, std::string_view content, std::size_t& at, int line) {
  static constexpr std::string_view kLetters = "\n\\'\"abfnrtv";
  static constexpr std::array<std::string_view, 11> kMeanings{"",   "\\", "'",  "\"", "\a", "\b",
                                                              "\f", "\n", "\r", "\t", "\v"};
  const char letter = content[at];
  if (const std::size_t found = kLetters.find(letter); found != std::string_view::npos) {
    out += kMeanings[found];
    ++at;
  } else if (const std::size_t digits = escape_digits(letter); digits > 0) {
    append_code_point_escape(out, content, ++at, digits, line);
  } else if (is_digit_of(letter, 8)) {
    append_octal(out, content, at);
  } else {
    out += '\\';
  }
}

}  // namespace

NumberLiteral read_number(std::string_view source, std::size_t at, bool after_dot, int line) {
  NumberLiteral literal;
  literal.length = after_dot ? 0 : float_length(source, at);
  if (literal.length > 0) {
    literal.number = parse_float(source.substr(at, literal.length)).value_or(0);
    return literal;
  }
  const int base = base_of_prefix(source.substr(at));
  std::size_t digits = base == 10 ? 0 : digits_at(source, at + 2, base);
  literal.length = digits > 0 ? digits + 2 : digits_at(source, at, 10);
  literal.integer = parse_integer(source.substr(at, literal.length), digits > 0 ? base : 10);
  if (!literal.integer) {
    throw TemplateError(ErrorCode::kTooLarge, line,
                        "an integer is over the limit of 127 bits: " + std::string(source.substr(at, 40)));
  }
  return literal;
}

std::string unescaped(std::string_view content, int line) {
  std::string out;
  for (std::size_t at = 0; at < content.size();) {
    if (content[at] != '\\' || at + 1 == content.size()) {
      out += content[at++];
    } else {
      append_escape(out, content, ++at, line);
    }
  }
  return out;
}

std::optional<Integer> parse_integer(std::string_view text, int base) {
  text = stripped(text, true, true);
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
  const int prefixed = base_of_prefix(text);
  if (prefixed != 10 && (base == prefixed || base == 0)) text.remove_prefix(2);
  if (base == 0) base = prefixed;
  if (text.empty() || digits_at(text, 0, base) != text.size()) return std::nullopt;
  Integer value = 0;
  for (const char c : without_underscores(text)) {
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (__builtin_mul_overflow(value, Integer{base}, &value) || __builtin_add_overflow(value, Integer{digit}, &value)) {
      return std::nullopt;
    }
  }
  return negative ? -value : value;
}

std::optional<double> parse_float(std::string_view text) {
  std::string plain = without_underscores(stripped(text, true, true));
  if (!plain.empty() && plain[0] == '+') plain.erase(0, 1);
  if (plain.empty()) return std::nullopt;
  double value = 0;
  const auto read = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (read.ptr != plain.data() + plain.size() || read.ec == std::errc::invalid_argument) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range) {
    const bool tiny = plain.find("e-") != std::string::npos || plain.find("E-") != std::string::npos;
    value = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    return plain[0] == '-' ? -value : value;
  }
  return value;
}

}  // namespace finetune::jinja
