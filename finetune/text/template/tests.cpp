// The table of tests: what may stand behind `is`.
#include <algorithm>
#include <array>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/comparison.h"
#include "finetune/text/template/filters.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

Value operand(Interpreter& interpreter, const char* test, Arguments& arguments) {
  ArgumentReader reader(interpreter.budget(), test, arguments);
  Value value = reader.required("other");
  reader.finish();
  return value;
}

bool is_equal(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return equal(interpreter.budget(), value, operand(interpreter, "eq", arguments));
}
bool is_unequal(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return !equal(interpreter.budget(), value, operand(interpreter, "ne", arguments));
}
bool is_less(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return order(interpreter.budget(), value, operand(interpreter, "lt", arguments), "<") < 0;
}
bool is_less_or_equal(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return order(interpreter.budget(), value, operand(interpreter, "le", arguments), "<=") <= 0;
}
bool is_greater(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return order(interpreter.budget(), value, operand(interpreter, "gt", arguments), ">") > 0;
}
bool is_greater_or_equal(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return order(interpreter.budget(), value, operand(interpreter, "ge", arguments), ">=") >= 0;
}
bool is_in(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return contains(interpreter.budget(), operand(interpreter, "in", arguments), value);
}

Integer remainder_of(Interpreter& interpreter, const Value& value, Integer divisor) {
  const auto number = value.integer();
  if (!number) interpreter.budget().fail("an integer is needed, not " + std::string(type_name(value)));
  if (divisor == 0) interpreter.budget().fail("integer division or modulo by zero");
  return *number % divisor;
}
bool is_divisible(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  const auto divisor = operand(interpreter, "divisibleby", arguments).integer();
  return remainder_of(interpreter, value, divisor == -1 ? 1 : divisor.value_or(0)) == 0;
}
bool is_even(Interpreter& interpreter, const Value& value, Arguments&) {
  return remainder_of(interpreter, value, 2) == 0;
}
bool is_odd(Interpreter& interpreter, const Value& value, Arguments&) {
  return remainder_of(interpreter, value, 2) != 0;
}

bool is_boolean(Interpreter&, const Value& value, Arguments&) { return std::holds_alternative<bool>(value.data); }
bool is_callable(Interpreter&, const Value& value, Arguments&) {
  return value.is_undefined() || (value.object() && value.object()->callable());
}
bool is_defined(Interpreter&, const Value& value, Arguments&) { return !value.is_undefined(); }
bool is_undefined(Interpreter&, const Value& value, Arguments&) { return value.is_undefined(); }
bool is_escaped(Interpreter&, const Value&, Arguments&) { return false; }
bool is_false(Interpreter&, const Value& value, Arguments&) {
  const auto* truth = std::get_if<bool>(&value.data);
  return truth && !*truth;
}
bool is_true(Interpreter&, const Value& value, Arguments&) {
  const auto* truth = std::get_if<bool>(&value.data);
  return truth && *truth;
}
bool is_filter(Interpreter&, const Value& value, Arguments&) { return value.text() && find_filter(*value.text()); }
bool is_test(Interpreter&, const Value& value, Arguments&) { return value.text() && find_test(*value.text()); }
bool is_float(Interpreter&, const Value& value, Arguments&) { return std::holds_alternative<double>(value.data); }
bool is_integer(Interpreter&, const Value& value, Arguments&) { return std::holds_alternative<Integer>(value.data); }
bool is_iterable(Interpreter&, const Value& value, Arguments&) {
  return value.is_undefined() || value.text() || value.sequence() || value.dictionary();
}
bool is_mapping(Interpreter&, const Value& value, Arguments&) { return value.dictionary() != nullptr; }
bool is_none(Interpreter&, const Value& value, Arguments&) { return value.is_none(); }
bool is_number(Interpreter&, const Value& value, Arguments&) { return value.number().has_value(); }
bool is_string(Interpreter&, const Value& value, Arguments&) { return value.text() != nullptr; }
bool is_sequence(Interpreter&, const Value& value, Arguments&) {
  const Sequence* sequence = value.sequence();
  return value.is_undefined() || value.text() || value.dictionary() || (sequence && sequence->indexable());
}
bool is_same(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  const Value other = operand(interpreter, "sameas", arguments);
  if (value.data.index() != other.data.index()) return false;
  if (value.sequence()) return value.sequence() == other.sequence();
  if (value.dictionary()) return value.dictionary() == other.dictionary();
  return equal(interpreter.budget(), value, other);
}

bool is_lower_text(Interpreter& interpreter, const Value& value, Arguments&) {
  const Value text = to_text(interpreter.budget(), value);
  return has_only_case(*text.text(), false);
}
bool is_upper_text(Interpreter& interpreter, const Value& value, Arguments&) {
  const Value text = to_text(interpreter.budget(), value);
  return has_only_case(*text.text(), true);
}

constexpr std::array<Test, 39> kTests{{
    {"!=", is_unequal},
    {"<", is_less},
    {"<=", is_less_or_equal},
    {"==", is_equal},
    {">", is_greater},
    {">=", is_greater_or_equal},
    {"boolean", is_boolean},
    {"callable", is_callable},
    {"defined", is_defined},
    {"divisibleby", is_divisible},
    {"eq", is_equal},
    {"equalto", is_equal},
    {"escaped", is_escaped},
    {"even", is_even},
    {"false", is_false},
    {"filter", is_filter},
    {"float", is_float},
    {"ge", is_greater_or_equal},
    {"greaterthan", is_greater},
    {"gt", is_greater},
    {"in", is_in},
    {"integer", is_integer},
    {"iterable", is_iterable},
    {"le", is_less_or_equal},
    {"lessthan", is_less},
    {"lower", is_lower_text},
    {"lt", is_less},
    {"mapping", is_mapping},
    {"ne", is_unequal},
    {"none", is_none},
    {"number", is_number},
    {"odd", is_odd},
    {"sameas", is_same},
    {"sequence", is_sequence},
    {"string", is_string},
    {"test", is_test},
    {"true", is_true},
    {"undefined", is_undefined},
    {"upper", is_upper_text},
}};

}  // namespace

const Test* find_test(std::string_view name) {
  const auto found = std::find_if(kTests.begin(), kTests.end(), [&](const Test& test) { return test.name == name; });
  return found == kTests.end() ? nullptr : &*found;
}

}  // namespace finetune::jinja
