// The kinds of statement.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "finetune/text/template/expressions.h"
#include "finetune/text/template/syntax.h"

namespace finetune::jinja {

/// Text of the template itself.
struct DataStatement final : Statement {
  std::string data;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

struct PrintStatement final : Statement {
  ExpressionPointer value;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

struct IfStatement final : Statement {
  std::vector<std::pair<ExpressionPointer, Body>> branches;
  Body otherwise;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

struct ForStatement final : Statement {
  Target target;
  ExpressionPointer items;
  ExpressionPointer condition;  // may be null
  bool recursive = false;
  Body body, otherwise;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
  /// One run through `source`, at `depth` from 0 where a recursive loop calls itself.
  void loop(Interpreter&, Scope&, TextBuilder&, std::vector<Value> source, int depth) const;
};

/// break and continue.
struct JumpStatement final : Statement {
  Flow flow = Flow::kBreak;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override { return flow; }
};

struct SetStatement final : Statement {
  Target target;
  ExpressionPointer value;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

/// A body as text through filters, the first one first: set and filter blocks.
struct FilteredBody {
  Body body;
  std::vector<std::unique_ptr<const FilterExpression>> filters;
  Value evaluate(Interpreter&, Scope&) const;
};

struct SetBlock final : Statement {
  Target target;
  FilteredBody content;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

struct FilterBlock final : Statement {
  FilteredBody content;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

struct WithBlock final : Statement {
  std::vector<std::pair<Target, ExpressionPointer>> values;  // evaluated outside
  Body body;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

/// What the model has to learn: its output is a span of generated text.
struct GenerationBlock final : Statement {
  Body body;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

/// What is called, by a macro statement's name or as the `caller` of a call block.
struct MacroDefinition {
  struct Parameter {
    std::string name;
    ExpressionPointer fallback;  // may be null
  };
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};

struct MacroStatement final : Statement {
  MacroDefinition macro;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

struct CallBlock final : Statement {
  ExpressionPointer call;  // a CallExpression
  MacroDefinition caller;
  Flow run(Interpreter&, Scope&, TextBuilder&) const override;
};

}  // namespace finetune::jinja
