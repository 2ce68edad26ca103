#include "finetune/text/template/macro.h"

#include <algorithm>

#include "finetune/text/template/interpreter.h"

namespace finetune::jinja {
namespace {

using Named = std::vector<std::pair<std::string, Value>>;

std::optional<Value> take(Named& named, const std::string& name) {
  const auto found = std::find_if(named.begin(), named.end(), [&](const auto& entry) { return entry.first == name; });
  if (found == named.end()) return std::nullopt;
  Value value = std::move(found->second);
  named.erase(found);
  return value;
}

class Macro final : public Object {
 public:
  Macro(std::shared_ptr<Scope> scope, const MacroDefinition& definition)
      : scope_(std::move(scope)), definition_(definition) {}

  std::string_view type_name() const override { return "Macro"; }

  std::optional<Value> attribute(Interpreter& interpreter, const std::string& name) override {
    if (name == "name") return make_text(interpreter.budget(), definition_.name);
    return std::nullopt;
  }

  Value call(Interpreter& interpreter, Arguments& arguments) override {
    const auto inner = scope_->inner();
    bind_parameters(interpreter, *inner, arguments);
    bind_extras(interpreter, *inner, arguments);
    TextBuilder out(interpreter.budget());
    run_body(definition_.body, interpreter, *inner, out);
    return out.finish();
  }

 private:
  void bind_parameters(Interpreter& interpreter, Scope& inner, Arguments& arguments) const {
    Budget& budget = interpreter.budget();
    for (std::size_t i = 0; i < definition_.parameters.size(); ++i) {
      const auto& [name, fallback] = definition_.parameters[i];
      auto named = take(arguments.named, name);
      if (i < arguments.positional.size()) {
        if (named) budget.fail("macro '" + definition_.name + "' got two values for '" + name + "'");
        inner.set(name, arguments.positional[i]);
      } else if (named) {
        inner.set(name, std::move(*named));
      } else if (fallback) {
        inner.set(name, fallback->evaluate(interpreter, inner));
      } else {
        inner.set(name, make_undefined(budget, "parameter '" + name + "' was not provided"));
      }
    }
  }

  void bind_extras(Interpreter& interpreter, Scope& inner, Arguments& arguments) const {
    Budget& budget = interpreter.budget();
    const std::string who = "macro '" + definition_.name + "' takes ";
    const std::size_t known = std::min(definition_.parameters.size(), arguments.positional.size());
    if (definition_.uses_caller) {
      auto caller = take(arguments.named, "caller");
      inner.set("caller", caller ? std::move(*caller) : make_undefined(budget, "No caller defined"));
    }
    if (definition_.uses_varargs) {
      const auto begin = arguments.positional.begin() + static_cast<std::ptrdiff_t>(known);
      inner.set("varargs", make_sequence(budget, {begin, arguments.positional.end()}, Sequence::Kind::kTuple));
    } else if (arguments.positional.size() > known) {
      budget.fail(who + "not more than " + std::to_string(definition_.parameters.size()) + " argument(s)");
    }
    if (definition_.uses_kwargs) {
      std::vector<std::pair<Value, Value>> entries;
      for (auto& [name, value] : arguments.named) entries.emplace_back(make_text(budget, name), std::move(value));
      inner.set("kwargs", make_dictionary(budget, std::move(entries)));
    } else if (!arguments.named.empty()) {
      budget.fail(who + "no keyword argument '" + arguments.named.front().first + "'");
    }
  }

  std::shared_ptr<Scope> scope_;  // shared with the statements that still run in it
  const MacroDefinition& definition_;
};

}  // namespace

Value make_macro(Interpreter& interpreter, Scope& scope, const MacroDefinition& definition) {
  interpreter.keep(scope.shared_from_this());
  return Value{ObjectPointer(std::make_shared<Macro>(scope.shared_from_this(), definition))};
}

}  // namespace finetune::jinja
