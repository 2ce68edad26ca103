#include "finetune/text/template/methods.h"

#include <algorithm>
#include <array>

#include "finetune/text/template/comparison.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

class BoundMethod final : public Object {
 public:
  BoundMethod(Value self, Method method) : self_(std::move(self)), method_(method) { nesting = 1 + nesting_of(self_); }
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  Value call(Interpreter& interpreter, Arguments& arguments) override { return method_(interpreter, self_, arguments); }

 private:
  Value self_;
  Method method_;
};

Value get(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "get", arguments);
  const Value key = reader.required("key");
  const Value fallback = reader.optional("default").value_or(none());
  reader.finish();
  const auto& entries = self.dictionary()->entries;
  budget.step_items(entries.size());
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return equal(budget, entry.first, key); });
  return found == entries.end() ? fallback : found->second;
}

enum class Part { kItems, kKeys, kValues };

template <Part kPart>
Value view(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  constexpr const char* kLabel = kPart == Part::kItems  ? "dict_items"
                                 : kPart == Part::kKeys ? "dict_keys"
                                                        : "dict_values";
  ArgumentReader(budget, kLabel, arguments).finish();
  ListBuilder parts(budget);
  for (const auto& [key, value] : self.dictionary()->entries) {
    if (kPart == Part::kItems) {
      parts.push(make_sequence(budget, {key, value}, Sequence::Kind::kTuple));
    } else {
      parts.push(kPart == Part::kKeys ? key : value);
    }
  }
  return parts.finish(Sequence::Kind::kView, kLabel);
}

Value copy(Interpreter&, const Value& self, Arguments&) { return self; }

Value count(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "count", arguments);
  const Value wanted = reader.required("value");
  reader.finish();
  const auto& items = self.sequence()->items;
  return integer(
      std::count_if(items.begin(), items.end(), [&](const Value& item) { return equal(budget, item, wanted); }));
}

Value index(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "index", arguments);
  const Value wanted = reader.required("value");
  reader.finish();
  const auto& items = self.sequence()->items;
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const Value& item) { return equal(budget, item, wanted); });
  if (found == items.end()) budget.fail("the value of index() is not in the list");
  return integer(found - items.begin());
}

struct Entry {
  std::string_view name;
  Method method;  // null where it would change its value
};

constexpr std::array<Entry, 10> kDictionaryMethods{{
    {"clear", nullptr},
    {"copy", copy},
    {"get", get},
    {"items", view<Part::kItems>},
    {"keys", view<Part::kKeys>},
    {"pop", nullptr},
    {"popitem", nullptr},
    {"setdefault", nullptr},
    {"update", nullptr},
    {"values", view<Part::kValues>},
}};

constexpr std::array<Entry, 11> kListMethods{{
    {"append", nullptr},
    {"clear", nullptr},
    {"copy", copy},
    {"count", count},
    {"extend", nullptr},
    {"index", index},
    {"insert", nullptr},
    {"pop", nullptr},
    {"remove", nullptr},
    {"reverse", nullptr},
    {"sort", nullptr},
}};

template <std::size_t kSize>
const Entry* find_entry(const std::array<Entry, kSize>& entries, std::string_view name) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

// nullptr if values of this kind have no such method.
const Entry* entry_of(const Value& value, std::string_view name) {
  if (value.dictionary()) return find_entry(kDictionaryMethods, name);
  const Sequence* sequence = value.sequence();
  if (!sequence || !sequence->indexable()) return nullptr;
  const Entry* entry = find_entry(kListMethods, name);
  const bool only_of_lists = entry && (!entry->method || entry->name == "copy");
  return only_of_lists && sequence->kind != Sequence::Kind::kList ? nullptr : entry;
}

}  // namespace

std::optional<Value> find_method(Interpreter& interpreter, const Value& value, const std::string& name) {
  const Entry* entry = entry_of(value, name);
  const Method method = value.text() ? find_text_method(name) : entry ? entry->method : nullptr;
  if (!entry && !method) return std::nullopt;
  if (!method) {
    return make_undefined(interpreter.budget(), "access to attribute '" + name + "' of '" +
                                                    std::string(type_name(value)) +
                                                    "' object is unsafe: values never change, use a namespace");
  }
  auto bound = std::make_shared<BoundMethod>(value, method);
  interpreter.budget().check_nesting(bound->nesting);
  return Value{ObjectPointer(std::move(bound))};
}

}  // namespace finetune::jinja
