// The kinds of expression. Each evaluates its parts from left to right, as Python does.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "finetune/text/template/object.h"
#include "finetune/text/template/syntax.h"

namespace finetune::jinja {

struct CallArguments {
  std::vector<ExpressionPointer> positional;
  std::vector<std::pair<std::string, ExpressionPointer>> named;
  ExpressionPointer unpacked;        // *x; may be null
  ExpressionPointer unpacked_named;  // **x; may be null

  Arguments evaluate(Interpreter& interpreter, Scope& scope) const;
};

struct Literal final : Expression {
  Value value;
  Value compute(Interpreter&, Scope&) const override { return value; }
};

struct NameExpression final : Expression {
  std::string name;
  Value compute(Interpreter&, Scope&) const override;
};

/// [a, b] or (a, b).
struct SequenceExpression final : Expression {
  Sequence::Kind kind = Sequence::Kind::kList;
  std::vector<ExpressionPointer> items;
  Value compute(Interpreter&, Scope&) const override;
};

struct DictionaryExpression final : Expression {
  std::vector<std::pair<ExpressionPointer, ExpressionPointer>> entries;
  Value compute(Interpreter&, Scope&) const override;
};

/// a ~ b ~ c
struct Concatenation final : Expression {
  std::vector<ExpressionPointer> parts;
  Value compute(Interpreter&, Scope&) const override;
};

struct BinaryExpression final : Expression {
  std::string sign;
  ExpressionPointer left, right;
  Value compute(Interpreter&, Scope&) const override;
};

/// -a, +a, not a.
struct UnaryExpression final : Expression {
  std::string sign;
  ExpressionPointer operand;
  Value compute(Interpreter&, Scope&) const override;
};

/// `and` and `or` give one of their operands.
struct LogicalExpression final : Expression {
  bool is_and = false;
  ExpressionPointer left, right;
  Value compute(Interpreter&, Scope&) const override;
};

/// a < b <= c: true if each pair is.
struct ComparisonExpression final : Expression {
  ExpressionPointer first;
  std::vector<std::pair<std::string, ExpressionPointer>> rest;
  Value compute(Interpreter&, Scope&) const override;
};

/// a if condition else b; without an else it may be undefined.
struct ConditionalExpression final : Expression {
  ExpressionPointer condition, yes, no;
  Value compute(Interpreter&, Scope&) const override;
};

struct AttributeExpression final : Expression {
  ExpressionPointer value;
  std::string name;
  Value compute(Interpreter&, Scope&) const override;
};

struct ItemExpression final : Expression {
  ExpressionPointer value, key;
  Value compute(Interpreter&, Scope&) const override;
};

/// value[start:stop:step]; each may be null.
struct SliceExpression final : Expression {
  ExpressionPointer value, start, stop, step;
  Value compute(Interpreter&, Scope&) const override;
};

struct CallExpression final : Expression {
  ExpressionPointer callee;
  CallArguments arguments;
  Value compute(Interpreter&, Scope&) const override;
};

struct FilterExpression final : Expression {
  ExpressionPointer value;  // null in front of a filtered block, which gives its own
  std::string name;
  CallArguments arguments;
  Value compute(Interpreter&, Scope&) const override;
  Value apply(Interpreter&, Scope&, const Value& input) const;
};

struct TestExpression final : Expression {
  ExpressionPointer value;
  std::string name;
  bool negated = false;
  CallArguments arguments;
  Value compute(Interpreter&, Scope&) const override;
};

}  // namespace finetune::jinja
