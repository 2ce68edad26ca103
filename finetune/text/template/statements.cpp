#include "finetune/text/template/statements.h"

#include "finetune/text/template/comparison.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/loop.h"
#include "finetune/text/template/macro.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

void assign_parts(Interpreter& interpreter, Scope& scope, const Target& target, const Value& value) {
  const std::vector<Value> items = interpreter.items_of(value);
  if (items.size() != target.parts.size()) {
    const bool few = items.size() < target.parts.size();
    interpreter.budget().fail(std::string(few ? "not enough" : "too many") + " values to unpack (expected " +
                              std::to_string(target.parts.size()) + ", got " + std::to_string(items.size()) + ")");
  }
  for (std::size_t i = 0; i < items.size(); ++i) assign(interpreter, scope, target.parts[i], items[i]);
}

void assign_attribute(Interpreter& interpreter, Scope& scope, const Target& target, const Value& value) {
  const Value* holder = scope.find(target.name);
  auto* space = holder ? dynamic_cast<Namespace*>(holder->object()) : nullptr;
  if (!space) interpreter.budget().fail("cannot assign attribute on non-namespace object: " + target.name);
  if (target.attribute[0] == '_') {
    interpreter.budget().fail("a namespace takes no attribute that begins with an underscore: " + target.attribute);
  }
  space->values[target.attribute] = value;
}

}  // namespace

const Value* Scope::find(const std::string& name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->outer_.get()) {
    const auto found = scope->values_.find(name);
    if (found != scope->values_.end()) return &found->second;
  }
  return nullptr;
}

void assign(Interpreter& interpreter, Scope& scope, const Target& target, const Value& value) {
  if (target.tuple) return assign_parts(interpreter, scope, target, value);
  if (!target.attribute.empty()) return assign_attribute(interpreter, scope, target, value);
  scope.set(target.name, value);
}

Flow Statement::execute(Interpreter& interpreter, Scope& scope, TextBuilder& out) const {
  Budget& budget = interpreter.budget();
  budget.at_line(line);
  budget.step();
  const DepthGuard guard(budget);
  return run(interpreter, scope, out);
}

Flow run_body(const Body& body, Interpreter& interpreter, Scope& scope, TextBuilder& out) {
  for (const auto& statement : body) {
    const Flow flow = statement->execute(interpreter, scope, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Flow DataStatement::run(Interpreter&, Scope&, TextBuilder& out) const {
  out.append(data);
  return Flow::kNext;
}

Flow PrintStatement::run(Interpreter& interpreter, Scope& scope, TextBuilder& out) const {
  print(out, interpreter.budget(), value->evaluate(interpreter, scope));
  return Flow::kNext;
}

Flow IfStatement::run(Interpreter& interpreter, Scope& scope, TextBuilder& out) const {
  for (const auto& [condition, body] : branches) {
    if (truthy(condition->evaluate(interpreter, scope))) return run_body(body, interpreter, scope, out);
  }
  return run_body(otherwise, interpreter, scope, out);
}

Flow ForStatement::run(Interpreter& interpreter, Scope& scope, TextBuilder& out) const {
  const Value value = items->evaluate(interpreter, scope);
  interpreter.budget().at_line(line);
  loop(interpreter, scope, out, interpreter.items_of(value), 0);
  return Flow::kNext;
}

void ForStatement::loop(Interpreter& interpreter, Scope& scope, TextBuilder& out, std::vector<Value> source,
                        int depth) const {
  const auto state = std::make_shared<Loop>(*this, interpreter, scope, std::move(source), depth);
  const LoopEnd end(*state);
  while (const auto item = state->advance()) {
    interpreter.budget().step();
    const auto inner = scope.inner();
    inner->set("loop", Value{ObjectPointer(state)});
    assign(interpreter, *inner, target, *item);
    if (run_body(body, interpreter, *inner, out) == Flow::kBreak) return;
  }
  if (state->is_empty()) run_body(otherwise, interpreter, *scope.inner(), out);
}

Flow SetStatement::run(Interpreter& interpreter, Scope& scope, TextBuilder&) const {
  assign(interpreter, scope, target, value->evaluate(interpreter, scope));
  return Flow::kNext;
}

Value FilteredBody::evaluate(Interpreter& interpreter, Scope& scope) const {
  TextBuilder text(interpreter.budget());
  run_body(body, interpreter, *scope.inner(), text);
  Value value = text.finish();
  for (const auto& filter : filters) value = filter->apply(interpreter, scope, value);
  return value;
}

Flow SetBlock::run(Interpreter& interpreter, Scope& scope, TextBuilder&) const {
  assign(interpreter, scope, target, content.evaluate(interpreter, scope));
  return Flow::kNext;
}

Flow FilterBlock::run(Interpreter& interpreter, Scope& scope, TextBuilder& out) const {
  print(out, interpreter.budget(), content.evaluate(interpreter, scope));
  return Flow::kNext;
}

Flow WithBlock::run(Interpreter& interpreter, Scope& scope, TextBuilder& out) const {
  const auto inner = scope.inner();
  for (const auto& [target, value] : values) assign(interpreter, *inner, target, value->evaluate(interpreter, scope));
  return run_body(body, interpreter, *inner, out);
}

Flow GenerationBlock::run(Interpreter& interpreter, Scope& scope, TextBuilder& out) const {
  const std::size_t begin = out.bytes().size();
  run_body(body, interpreter, *scope.inner(), out);
  out.mark_generated(begin);
  return Flow::kNext;
}

Flow MacroStatement::run(Interpreter& interpreter, Scope& scope, TextBuilder&) const {
  scope.set(macro.name, make_macro(interpreter, scope, macro));
  return Flow::kNext;
}

Flow CallBlock::run(Interpreter& interpreter, Scope& scope, TextBuilder& out) const {
  const auto& parts = static_cast<const CallExpression&>(*call);
  const Value target = parts.callee->evaluate(interpreter, scope);
  Arguments evaluated = parts.arguments.evaluate(interpreter, scope);
  evaluated.named.emplace_back("caller", make_macro(interpreter, scope, caller));
  interpreter.budget().at_line(line);
  print(out, interpreter.budget(), interpreter.call(target, evaluated));
  return Flow::kNext;
}

}  // namespace finetune::jinja
