// Literals of the template language in one place of a source text. Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "finetune/text/template/value.h"

namespace finetune::jinja {

struct NumberLiteral {
  std::size_t length = 0;
  std::optional<Integer> integer;  // else it is `number`
  double number = 0;
};

/// The number that begins at `at`; REQUIRES a digit there. `after_dot`: no fraction or exponent is read ("a.0.1").
/// Throws TemplateError where an integer needs more than 127 bits.
NumberLiteral read_number(std::string_view source, std::size_t at, bool after_dot, int line);

/// The content of a quoted text with its escapes replaced. Throws TemplateError on an escape that is not complete.
std::string unescaped(std::string_view content, int line);

/// An integer as Python's int(text, base) reads it (base 0 to 36), or nullopt.
std::optional<Integer> parse_integer(std::string_view text, int base);
/// A float as Python's float(text) reads it, or nullopt.
std::optional<double> parse_float(std::string_view text);

}  // namespace finetune::jinja
