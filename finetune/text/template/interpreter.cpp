#include "finetune/text/template/interpreter.h"

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/filters.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

namespace json = platform::json;

// What a scope or a namespace takes, roughly.
constexpr std::size_t kScopeBytes = 256;

std::vector<Value> characters(Budget& budget, const std::string& text) {
  ListBuilder items(budget);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    next_code_point(text, at);
    items.push(make_text(budget, text.substr(begin, at - begin)));
  }
  return items.take();
}

std::vector<Value> rest_of(Budget& budget, Sequence& sequence) {
  const std::size_t begin = sequence.consumed;
  budget.step_items(sequence.items.size() - begin);
  if (sequence.kind == Sequence::Kind::kGenerator) sequence.consumed = sequence.items.size();
  return {sequence.items.begin() + static_cast<std::ptrdiff_t>(begin), sequence.items.end()};
}

}  // namespace

Interpreter::~Interpreter() {
  for (const auto& scope : scopes_) scope->clear();
  for (const auto& space : namespaces_) space->values.clear();
}

Value Interpreter::call(const Value& callee, Arguments& arguments) {
  if (callee.is_undefined()) budget_.fail(undefined_reason(callee));
  Object* object = callee.object();
  if (!object || !object->callable()) {
    budget_.fail("'" + std::string(type_name(callee)) + "' object is not callable");
  }
  const DepthGuard guard(budget_);
  const Value held = callee;  // the call may replace the last other owner
  return object->call(*this, arguments);
}

Value Interpreter::filter(const std::string& name, const Value& value, Arguments& arguments) {
  const Filter* filter = find_filter(name);
  if (!filter) budget_.fail("No filter named '" + name + "'.");
  const DepthGuard guard(budget_);
  return filter->apply(*this, value, arguments);
}

bool Interpreter::test(const std::string& name, const Value& value, Arguments& arguments) {
  const Test* test = find_test(name);
  if (!test) budget_.fail("No test named '" + name + "'.");
  return test->check(*this, value, arguments);
}

std::vector<Value> Interpreter::items_of(const Value& value) {
  if (const std::string* text = value.text()) return characters(budget_, *text);
  if (Sequence* sequence = value.sequence()) return rest_of(budget_, *sequence);
  if (const Dictionary* dictionary = value.dictionary()) {
    budget_.step_items(dictionary->entries.size());
    std::vector<Value> keys;
    for (const auto& entry : dictionary->entries) keys.push_back(entry.first);
    return keys;
  }
  if (value.is_undefined()) return {};
  budget_.fail("'" + std::string(type_name(value)) + "' object is not iterable");
}

Value Interpreter::from_json(const json::value& value) {
  const DepthGuard guard(budget_);
  switch (value.kind()) {
    case json::kind::null: return none();
    case json::kind::bool_: return boolean(value.get_bool());
    case json::kind::int64: return integer(value.get_int64());
    case json::kind::uint64: return integer(Integer{value.get_uint64()});
    case json::kind::double_: return real(value.get_double());
    case json::kind::string: return make_text(budget_, repair_utf8(value.get_string()));
    case json::kind::array: {
      ListBuilder items(budget_);
      for (const json::value& item : value.get_array()) items.push(from_json(item));
      return items.finish();
    }
    case json::kind::object: break;
  }
  std::vector<std::pair<Value, Value>> entries;
  for (const auto& [key, item] : value.get_object()) {
    Value name = make_text(budget_, repair_utf8(key));
    entries.emplace_back(std::move(name), from_json(item));
  }
  return make_distinct_dictionary(budget_, std::move(entries));
}

void Interpreter::keep(std::shared_ptr<Scope> scope) {
  if (!scopes_.empty() && scopes_.back() == scope) return;
  budget_.take_memory(kScopeBytes);
  scopes_.push_back(std::move(scope));
}

Value Interpreter::make_namespace(std::map<std::string, Value> values) {
  budget_.take_memory(kScopeBytes * (1 + values.size()));
  auto space = std::make_shared<Namespace>();
  space->values = std::move(values);
  namespaces_.push_back(space);
  return Value{ObjectPointer(std::move(space))};
}

std::optional<Value> Namespace::attribute(Interpreter&, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace finetune::jinja
