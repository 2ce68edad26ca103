// Values as text: as {{ }} prints them (Python's str), as they stand inside a printed list (repr), and as JSON in the
// form of Python's json.dumps. Pure, but for the budget.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "finetune/text/template/value.h"

namespace finetune::jinja {

/// "str", "NoneType", "Undefined", ...: as Python's errors call it.
std::string_view type_name(const Value& value);
/// "'x' is undefined". REQUIRES: the value is undefined.
std::string undefined_reason(const Value& value);

std::string integer_text(Integer value);
/// The shortest text that reads back the same: "0.1", "1e+16", "1.0".
std::string float_text(double value);

void print(TextBuilder& out, Budget& budget, const Value& value);
void print_repr(TextBuilder& out, Budget& budget, const Value& value);
/// A text stays the same value; everything else is printed into a new one.
Value to_text(Budget& budget, const Value& value);

struct JsonStyle {
  std::optional<std::string> indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ascii = false;
};

/// Throws for what JSON cannot hold.
void print_json(TextBuilder& out, Budget& budget, const Value& value, const JsonStyle& style);

}  // namespace finetune::jinja
