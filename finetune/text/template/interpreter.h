// One render of a template: its budget, and what expressions and statements ask of the world. Belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "finetune/text/template/object.h"
#include "finetune/text/template/syntax.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace finetune::jinja {

class Interpreter {
 public:
  /// `clock` is what strftime_now reads; borrowed.
  Interpreter(const TemplateLimits& limits, const platform::Clock& clock) : budget_(limits), clock_(clock) {}
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  Budget& budget() { return budget_; }
  const platform::Clock& clock() const { return clock_; }

  /// Throws where `callee` cannot be called.
  Value call(const Value& callee, Arguments& arguments);
  /// Throws where there is no filter (test) of that name.
  Value filter(const std::string& name, const Value& value, Arguments& arguments);
  bool test(const std::string& name, const Value& value, Arguments& arguments);
  /// What a loop over it goes through: items, keys, characters. Reads a generator to its end; undefined is empty.
  /// Throws for what cannot be iterated.
  std::vector<Value> items_of(const Value& value);
  Value from_json(const platform::json::value& value);

  /// A scope that a macro refers to, emptied at the end of the render: scopes and macros may hold one another.
  void keep(std::shared_ptr<Scope> scope);
  /// The same for namespaces.
  Value make_namespace(std::map<std::string, Value> values);

 private:
  Budget budget_;
  const platform::Clock& clock_;
  std::vector<std::shared_ptr<Scope>> scopes_;
  std::vector<std::shared_ptr<class Namespace>> namespaces_;
};

/// The one kind of value that a template can change.
class Namespace final : public Object {
 public:
  std::string_view type_name() const override { return "Namespace"; }
  bool callable() const override { return false; }
  std::optional<Value> attribute(Interpreter&, const std::string& name) override;
  std::map<std::string, Value> values;
};

}  // namespace finetune::jinja
