// The tables of filters and tests that a template may name. A new one is a function and a line in its table.
#pragma once

#include <span>
#include <string_view>

#include "finetune/text/template/object.h"

namespace finetune::jinja {

struct Filter {
  std::string_view name;
  Value (*apply)(Interpreter& interpreter, const Value& value, Arguments& arguments);
};

struct Test {
  std::string_view name;
  bool (*check)(Interpreter& interpreter, const Value& value, Arguments& arguments);
};

/// nullptr if there is none of that name.
const Filter* find_filter(std::string_view name);
const Test* find_test(std::string_view name);

/// The parts of the table of filters: on texts and numbers, on sequences, and those that choose from sequences.
std::span<const Filter> text_filters();
std::span<const Filter> sequence_filters();
std::span<const Filter> selection_filters();

}  // namespace finetune::jinja
