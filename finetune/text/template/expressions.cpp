#include "finetune/text/template/expressions.h"

#include "finetune/text/template/arithmetic.h"
#include "finetune/text/template/comparison.h"
#include "finetune/text/template/indexing.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

bool compare(Budget& budget, const std::string& sign, const Value& left, const Value& right) {
  if (sign == "==") return equal(budget, left, right);
  if (sign == "!=") return !equal(budget, left, right);
  if (sign == "in") return contains(budget, right, left);
  if (sign == "not in") return !contains(budget, right, left);
  const std::partial_ordering found = order(budget, left, right, sign);
  if (sign == "<") return found < 0;
  if (sign == "<=") return found <= 0;
  if (sign == ">") return found > 0;
  return found >= 0;
}

Value optional_value(const ExpressionPointer& expression, Interpreter& interpreter, Scope& scope) {
  return expression ? expression->evaluate(interpreter, scope) : none();
}

}  // namespace

Value Expression::evaluate(Interpreter& interpreter, Scope& scope) const {
  Budget& budget = interpreter.budget();
  budget.at_line(line);
  budget.step();
  const DepthGuard guard(budget);
  return compute(interpreter, scope);
}

Arguments CallArguments::evaluate(Interpreter& interpreter, Scope& scope) const {
  Arguments arguments;
  for (const auto& argument : positional) arguments.positional.push_back(argument->evaluate(interpreter, scope));
  for (const auto& [name, argument] : named) arguments.named.emplace_back(name, argument->evaluate(interpreter, scope));
  if (unpacked) {
    for (Value& item : interpreter.items_of(unpacked->evaluate(interpreter, scope))) {
      arguments.positional.push_back(std::move(item));
    }
  }
  if (!unpacked_named) return arguments;
  const Value value = unpacked_named->evaluate(interpreter, scope);
  const Dictionary* dictionary = value.dictionary();
  if (!dictionary) interpreter.budget().fail("what follows ** must be a mapping");
  interpreter.budget().step_items(dictionary->entries.size());
  for (const auto& [key, item] : dictionary->entries) {
    if (!key.text()) interpreter.budget().fail("keywords must be strings");
    arguments.named.emplace_back(*key.text(), item);
  }
  return arguments;
}

Value NameExpression::compute(Interpreter& interpreter, Scope& scope) const {
  if (const Value* value = scope.find(name)) return *value;
  return make_undefined(interpreter.budget(), "'" + name + "' is undefined");
}

Value SequenceExpression::compute(Interpreter& interpreter, Scope& scope) const {
  std::vector<Value> values;
  for (const auto& item : items) values.push_back(item->evaluate(interpreter, scope));
  return make_sequence(interpreter.budget(), std::move(values), kind);
}

Value DictionaryExpression::compute(Interpreter& interpreter, Scope& scope) const {
  std::vector<std::pair<Value, Value>> values;
  for (const auto& [key, value] : entries) {
    Value evaluated = key->evaluate(interpreter, scope);
    values.emplace_back(std::move(evaluated), value->evaluate(interpreter, scope));
  }
  return make_dictionary(interpreter.budget(), std::move(values));
}

Value Concatenation::compute(Interpreter& interpreter, Scope& scope) const {
  TextBuilder out(interpreter.budget());
  for (const auto& part : parts) print(out, interpreter.budget(), part->evaluate(interpreter, scope));
  return out.finish();
}

Value BinaryExpression::compute(Interpreter& interpreter, Scope& scope) const {
  const Value a = left->evaluate(interpreter, scope);
  const Value b = right->evaluate(interpreter, scope);
  interpreter.budget().at_line(line);
  return binary_operation(interpreter, sign, a, b);
}

Value UnaryExpression::compute(Interpreter& interpreter, Scope& scope) const {
  const Value value = operand->evaluate(interpreter, scope);
  if (sign == "not") return boolean(!truthy(value));
  return sign == "-" ? negated(interpreter.budget(), value) : positive(interpreter.budget(), value);
}

Value LogicalExpression::compute(Interpreter& interpreter, Scope& scope) const {
  Value value = left->evaluate(interpreter, scope);
  return truthy(value) == is_and ? right->evaluate(interpreter, scope) : value;
}

Value ComparisonExpression::compute(Interpreter& interpreter, Scope& scope) const {
  Value left = first->evaluate(interpreter, scope);
  for (const auto& [sign, operand] : rest) {
    Value right = operand->evaluate(interpreter, scope);
    if (!compare(interpreter.budget(), sign, left, right)) return boolean(false);
    left = std::move(right);
  }
  return boolean(true);
}

Value ConditionalExpression::compute(Interpreter& interpreter, Scope& scope) const {
  if (truthy(condition->evaluate(interpreter, scope))) return yes->evaluate(interpreter, scope);
  if (no) return no->evaluate(interpreter, scope);
  return make_undefined(interpreter.budget(), "an inline if without else was false, so it is undefined");
}

Value AttributeExpression::compute(Interpreter& interpreter, Scope& scope) const {
  return attribute_of(interpreter, value->evaluate(interpreter, scope), name);
}

Value ItemExpression::compute(Interpreter& interpreter, Scope& scope) const {
  const Value holder = value->evaluate(interpreter, scope);
  return item_of(interpreter, holder, key->evaluate(interpreter, scope));
}

Value SliceExpression::compute(Interpreter& interpreter, Scope& scope) const {
  const Value holder = value->evaluate(interpreter, scope);
  const Value from = optional_value(start, interpreter, scope);
  const Value to = optional_value(stop, interpreter, scope);
  return slice_of(interpreter.budget(), holder, from, to, optional_value(step, interpreter, scope));
}

Value CallExpression::compute(Interpreter& interpreter, Scope& scope) const {
  const Value target = callee->evaluate(interpreter, scope);
  Arguments evaluated = arguments.evaluate(interpreter, scope);
  interpreter.budget().at_line(line);
  return interpreter.call(target, evaluated);
}

Value FilterExpression::compute(Interpreter& interpreter, Scope& scope) const {
  return apply(interpreter, scope, value->evaluate(interpreter, scope));
}

Value FilterExpression::apply(Interpreter& interpreter, Scope& scope, const Value& input) const {
  Arguments evaluated = arguments.evaluate(interpreter, scope);
  interpreter.budget().at_line(line);
  return interpreter.filter(name, input, evaluated);
}

Value TestExpression::compute(Interpreter& interpreter, Scope& scope) const {
  const Value input = value->evaluate(interpreter, scope);
  Arguments evaluated = arguments.evaluate(interpreter, scope);
  interpreter.budget().at_line(line);
  return boolean(interpreter.test(name, input, evaluated) != negated);
}

}  // namespace finetune::jinja
