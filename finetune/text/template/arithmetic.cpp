#include "finetune/text/template/arithmetic.h"

#include <cmath>

#include "finetune/text/template/formatting.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

[[noreturn]] void fail_overflow(Budget& budget) {
  budget.fail_limit("an integer needs more than the limit of 127 bits");
}

[[noreturn]] void fail_types(Budget& budget, const std::string& sign, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (value->is_undefined()) budget.fail(undefined_reason(*value));
  }
  if (sign == "+" && (left.text() || (left.sequence() && left.sequence()->kind <= Sequence::Kind::kTuple))) {
    const std::string name(type_name(left));
    budget.fail("can only concatenate " + name + " (not \"" + std::string(type_name(right)) + "\") to " + name);
  }
  budget.fail("unsupported operand type(s) for " + sign + ": '" + std::string(type_name(left)) + "' and '" +
              std::string(type_name(right)) + "'");
}

Integer floor_quotient(Integer a, Integer b) {
  const Integer quotient = a / b;
  return a % b != 0 && ((a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

double float_modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

Value integer_power(Budget& budget, Integer base, Integer exponent) {
  if (exponent < 0) {
    if (base == 0) budget.fail("0.0 cannot be raised to a negative power");
    return real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  Integer result = 1;
  while (exponent > 0) {
    budget.step();
    if (exponent % 2 == 1 && __builtin_mul_overflow(result, base, &result)) fail_overflow(budget);
    exponent /= 2;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_overflow(budget);
  }
  return integer(result);
}

Value integer_operation(Budget& budget, const std::string& sign, Integer a, Integer b) {
  Integer result = 0;
  bool overflow = false;
  if (sign == "+") overflow = __builtin_add_overflow(a, b, &result);
  if (sign == "-") overflow = __builtin_sub_overflow(a, b, &result);
  if (sign == "*") overflow = __builtin_mul_overflow(a, b, &result);
  if (sign == "**") return integer_power(budget, a, b);
  if (sign == "/" || sign == "//" || sign == "%") {
    if (b == 0) budget.fail(sign == "/" ? "division by zero" : "integer division or modulo by zero");
    if (sign == "/") return real(static_cast<double>(a) / static_cast<double>(b));
    overflow = b == -1 && __builtin_sub_overflow(Integer{0}, a, &result);
    if (overflow) fail_overflow(budget);
    if (sign == "//") return integer(b == -1 ? result : floor_quotient(a, b));
    return integer(b == -1 ? 0 : a - floor_quotient(a, b) * b);
  }
  if (overflow) fail_overflow(budget);
  return integer(result);
}

Value float_operation(Budget& budget, const std::string& sign, double a, double b) {
  if (sign == "+") return real(a + b);
  if (sign == "-") return real(a - b);
  if (sign == "*") return real(a * b);
  if (sign == "**") {
    const double power = std::pow(a, b);
    if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) budget.fail("the result of ** is no finite float");
    return real(power);
  }
  if (b == 0) budget.fail("float division by zero");
  if (sign == "/") return real(a / b);
  if (sign == "%") return real(float_modulo(a, b));
  return real(std::floor((a - float_modulo(a, b)) / b + 0.5));
}

Value repeated(Budget& budget, const Value& value, Integer times) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(clamped(times), 0));
  if (value.text()) {
    TextBuilder out(budget);
    out.append(*value.text(), count);
    return out.finish();
  }
  const Sequence& sequence = *value.sequence();
  ListBuilder items(budget);
  for (std::size_t i = 0; i < count && !sequence.items.empty(); ++i) {
    for (const Value& item : sequence.items) items.push(item);
  }
  return items.finish(sequence.kind);
}

bool is_list(const Value& value) { return value.sequence() && value.sequence()->kind <= Sequence::Kind::kTuple; }

Value joined(Budget& budget, const Value& left, const Value& right) {
  if (left.text()) {
    TextBuilder out(budget);
    print(out, budget, left);
    print(out, budget, right);
    return out.finish();
  }
  ListBuilder items(budget);
  for (const Value* part : {&left, &right}) {
    for (const Value& item : part->sequence()->items) items.push(item);
  }
  return items.finish(left.sequence()->kind);
}

}  // namespace

Value binary_operation(Interpreter& interpreter, const std::string& sign, const Value& left, const Value& right) {
  Budget& budget = interpreter.budget();
  const auto a = left.integer();
  const auto b = right.integer();
  if (a && b) return integer_operation(budget, sign, *a, *b);
  if (left.number() && right.number()) return float_operation(budget, sign, *left.number(), *right.number());
  if (sign == "+") {
    const bool lists = is_list(left) && is_list(right) && left.sequence()->kind == right.sequence()->kind;
    if (lists || (left.text() && right.text())) return joined(budget, left, right);
  }
  if (sign == "*") {
    if ((left.text() || is_list(left)) && b) return repeated(budget, left, *b);
    if ((right.text() || is_list(right)) && a) return repeated(budget, right, *a);
  }
  if (sign == "%" && left.text()) return percent_format(budget, *left.text(), right);
  fail_types(budget, sign, left, right);
}

Value negated(Budget& budget, const Value& value) {
  if (const auto number = value.integer()) return integer_operation(budget, "-", 0, *number);
  if (const auto number = value.number()) return real(-*number);
  if (value.is_undefined()) budget.fail(undefined_reason(value));
  budget.fail("bad operand type for unary -: '" + std::string(type_name(value)) + "'");
}

Value positive(Budget& budget, const Value& value) {
  if (const auto number = value.integer()) return integer(*number);
  if (value.number()) return value;
  if (value.is_undefined()) budget.fail(undefined_reason(value));
  budget.fail("bad operand type for unary +: '" + std::string(type_name(value)) + "'");
}

}  // namespace finetune::jinja
