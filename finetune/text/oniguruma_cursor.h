// The place that the reading of an expression in Oniguruma's dialect has come to (see oniguruma.h), and the characters
// that such an expression writes by their numbers. Used by one thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace finetune {

class OnigurumaCursor {
 public:
  /// `expression` must outlive the cursor. Throws kInvalidInput where it is not UTF-8.
  explicit OnigurumaCursor(std::string_view expression);

  bool at_end() const { return at_ == expression_.size(); }
  bool sees(std::string_view text) const { return expression_.substr(at_).starts_with(text); }
  /// Whether `text` was next; it is passed then.
  bool take(std::string_view text);
  /// The next character, which is passed. Refuses the end.
  char32_t take();
  /// What is before `end`, which is passed with it. Refuses an expression without it.
  std::string_view take_until(std::string_view end);
  /// A decimal number; nothing where there is no digit. One over 10^6 is given as 10^6.
  std::optional<unsigned> take_number();
  /// Behind a backslash: a character that is written as \t, \x41, \x{41}, \o{101}, \u0041, \0101 or \cA. Nothing, and
  /// nothing passed, where it is written in none of these ways.
  std::optional<char32_t> take_numbered_character();
  /// The character of the byte that up to `most` octal digits write, with those behind it that belong to it.
  char32_t take_octal(std::size_t most);

  std::size_t place() const { return at_; }
  void return_to(std::size_t place) { at_ = place; }
  /// Throws kInvalidInput with the expression, the place and `what` it has there.
  [[noreturn]] void refuse(std::string_view what) const;

 private:
  struct Digits {
    char32_t value = 0;
    std::size_t count = 0;
  };
  Digits take_digits(unsigned base, std::size_t most);
  char32_t take_braced(unsigned base);
  char32_t take_hexadecimal_byte();
  char32_t whole_character(char32_t first_byte, unsigned base);
  char32_t checked(char32_t character) const;

  std::string_view expression_;
  std::size_t at_ = 0;
};

}  // namespace finetune
