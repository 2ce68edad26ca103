// What a template can call or ask for attributes: functions, methods bound to a value, namespaces, macros, loops.
// An object belongs to one render.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "finetune/text/template/value.h"

namespace finetune::jinja {

class Interpreter;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Object : public std::enable_shared_from_this<Object> {
 public:
  virtual ~Object() = default;
  /// As errors and prints name it ("function").
  virtual std::string_view type_name() const = 0;
  virtual bool callable() const { return true; }
  /// Throws where it cannot be called.
  virtual Value call(Interpreter& interpreter, Arguments& arguments);
  /// nullopt if there is no such attribute.
  virtual std::optional<Value> attribute(Interpreter&, const std::string&) { return std::nullopt; }

  int nesting = 1;  // levels of values that it holds for ever, itself included
};

/// Hands out the arguments of a call in the order of the parameters, by position or by name, as Python does.
class ArgumentReader {
 public:
  /// `function` names the call in errors. All three are borrowed.
  ArgumentReader(Budget& budget, std::string_view function, Arguments& arguments)
      : budget_(budget), function_(function), arguments_(arguments) {}

  /// Throws if it is missing.
  Value required(std::string_view name);
  std::optional<Value> optional(std::string_view name);
  /// Undefined where it is missing. For texts, integers and truths of another type it throws.
  std::string text(std::string_view name);
  std::optional<std::string> optional_text(std::string_view name);
  std::int64_t integer_or(std::string_view name, std::int64_t fallback);
  bool flag_or(std::string_view name, bool fallback);
  /// All positional arguments that are left.
  std::vector<Value> rest();
  /// Throws if an argument is left over.
  void finish();

 private:
  [[noreturn]] void wrong_type(std::string_view name, const Value& value, const char* wanted) const;

  Budget& budget_;
  std::string_view function_;
  Arguments& arguments_;
  std::size_t next_ = 0;
};

/// An integer that fits 64 bits; others become the nearest that does.
std::int64_t clamped(Integer value);

}  // namespace finetune::jinja
