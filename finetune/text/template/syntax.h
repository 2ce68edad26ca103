// The syntax tree of a template: what an expression and a statement are, and the scopes that they run in. A tree never
// changes after parsing, so that many threads may render it at the same time, each with an Interpreter of its own.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "finetune/text/template/value.h"

namespace finetune::jinja {

class Interpreter;

/// Names and their values. An inner scope sees the outer ones; what is set in it does not leave it.
class Scope : public std::enable_shared_from_this<Scope> {
 public:
  explicit Scope(std::shared_ptr<Scope> outer) : outer_(std::move(outer)) {}

  /// nullptr if no scope has the name.
  const Value* find(const std::string& name) const;
  void set(const std::string& name, Value value) { values_[name] = std::move(value); }
  std::shared_ptr<Scope> inner() { return std::make_shared<Scope>(shared_from_this()); }
  void clear() { values_.clear(); }

 private:
  std::shared_ptr<Scope> outer_;  // shared, because a macro keeps the scope that it was defined in
  std::map<std::string, Value> values_;
};

class Expression {
 public:
  virtual ~Expression() = default;
  /// Counts a step and a level of depth, and names its line in errors.
  Value evaluate(Interpreter& interpreter, Scope& scope) const;

  int line = 1;
  int height = 1;  // levels of expressions in it, itself included

 private:
  virtual Value compute(Interpreter& interpreter, Scope& scope) const = 0;
};

using ExpressionPointer = std::unique_ptr<const Expression>;

/// How a statement ended.
enum class Flow { kNext, kBreak, kContinue };

class Statement {
 public:
  virtual ~Statement() = default;
  Flow execute(Interpreter& interpreter, Scope& scope, TextBuilder& out) const;

  int line = 1;

 private:
  virtual Flow run(Interpreter& interpreter, Scope& scope, TextBuilder& out) const = 0;
};

using Body = std::vector<std::unique_ptr<const Statement>>;

/// Stops at the first statement that does not end with kNext.
Flow run_body(const Body& body, Interpreter& interpreter, Scope& scope, TextBuilder& out);

/// What stands left of `=`, or between `for` and `in`.
struct Target {
  std::string name;
  std::string attribute;      // of the namespace `name`; empty for a plain name
  std::vector<Target> parts;  // a tuple of targets if not empty
  bool tuple = false;
};

void assign(Interpreter& interpreter, Scope& scope, const Target& target, const Value& value);

}  // namespace finetune::jinja
