#include "finetune/text/template/object.h"

#include <algorithm>
#include <limits>

#include "finetune/text/template/comparison.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

// A copy takes time too.
const std::string& counted(Budget& budget, const std::string& text) {
  budget.step_bytes(text.size());
  return text;
}

}  // namespace

Value Object::call(Interpreter&, Arguments&) { return Value{}; }

std::optional<Value> ArgumentReader::optional(std::string_view name) {
  if (next_ < arguments_.positional.size()) return std::move(arguments_.positional[next_++]);
  const auto found = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                  [&](const auto& argument) { return argument.first == name; });
  if (found == arguments_.named.end()) return std::nullopt;
  Value value = std::move(found->second);
  arguments_.named.erase(found);
  return value;
}

Value ArgumentReader::required(std::string_view name) {
  auto value = optional(name);
  if (!value) budget_.fail(std::string(function_) + "() misses its argument '" + std::string(name) + "'");
  return std::move(*value);
}

std::string ArgumentReader::text(std::string_view name) {
  const Value value = required(name);
  if (const std::string* text = value.text()) return counted(budget_, *text);
  wrong_type(name, value, "a text");
}

std::optional<std::string> ArgumentReader::optional_text(std::string_view name) {
  const auto value = optional(name);
  if (!value || value->is_none()) return std::nullopt;
  if (const std::string* text = value->text()) return counted(budget_, *text);
  wrong_type(name, *value, "a text");
}

std::int64_t ArgumentReader::integer_or(std::string_view name, std::int64_t fallback) {
  const auto value = optional(name);
  if (!value) return fallback;
  if (const auto number = value->integer()) return clamped(*number);
  wrong_type(name, *value, "an integer");
}

bool ArgumentReader::flag_or(std::string_view name, bool fallback) {
  const auto value = optional(name);
  return value ? truthy(*value) : fallback;
}

std::vector<Value> ArgumentReader::rest() {
  std::vector<Value> values(std::make_move_iterator(arguments_.positional.begin() + static_cast<std::ptrdiff_t>(next_)),
                            std::make_move_iterator(arguments_.positional.end()));
  next_ = arguments_.positional.size();
  return values;
}

void ArgumentReader::finish() {
  if (next_ < arguments_.positional.size()) {
    budget_.fail(std::string(function_) + "() takes at most " + std::to_string(next_) + " positional arguments, not " +
                 std::to_string(arguments_.positional.size()));
  }
  if (!arguments_.named.empty()) {
    budget_.fail(std::string(function_) + "() got an unexpected argument '" + arguments_.named.front().first + "'");
  }
}

void ArgumentReader::wrong_type(std::string_view name, const Value& value, const char* wanted) const {
  budget_.fail(std::string(function_) + "(): its argument '" + std::string(name) + "' must be " + wanted + ", not " +
               std::string(type_name(value)));
}

std::int64_t clamped(Integer value) {
  using Limits = std::numeric_limits<std::int64_t>;
  return static_cast<std::int64_t>(std::clamp<Integer>(value, Limits::min(), Limits::max()));
}

}  // namespace finetune::jinja
