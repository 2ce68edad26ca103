// Filters that choose from a sequence or apply something to each of its items.
#include <algorithm>
#include <array>

#include "finetune/text/template/attribute_path.h"
#include "finetune/text/template/comparison.h"
#include "finetune/text/template/filters.h"
#include "finetune/text/template/indexing.h"
#include "finetune/text/template/interpreter.h"

namespace finetune::jinja {
namespace {

// Keeps the items whose test, named by the next argument, is `kWanted`; without a name their truth is tested.
// `kAttribute`: the first argument says which attribute is tested.
template <bool kWanted, bool kAttribute>
Value choose(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, kAttribute ? "selectattr" : "select", arguments);
  const AttributePath path(interpreter, kAttribute ? reader.required("attribute") : none());
  const auto test = reader.optional_text("test");
  const Arguments test_arguments{reader.rest(), std::move(arguments.named)};
  ListBuilder kept(budget);
  for (const Value& item : interpreter.items_of(value)) {
    budget.step();
    const Value tested = path.of(item);
    budget.step_items(test_arguments.positional.size());
    Arguments each = test_arguments;
    const bool holds = test ? interpreter.test(*test, tested, each) : truthy(tested);
    if (holds == kWanted) kept.push(item);
  }
  return kept.finish(Sequence::Kind::kGenerator, "select_or_reject");
}

Value map_attribute(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  ArgumentReader reader(interpreter.budget(), "map", arguments);
  const AttributePath path(interpreter, reader.required("attribute"));
  const auto fallback = reader.optional("default");
  reader.finish();
  ListBuilder mapped(interpreter.budget());
  for (const Value& item : interpreter.items_of(value)) {
    Value found = path.of(item);
    mapped.push(found.is_undefined() && fallback ? *fallback : std::move(found));
  }
  return mapped.finish(Sequence::Kind::kGenerator, "sync_do_map");
}

Value map(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  if (arguments.positional.empty() && !arguments.named.empty()) return map_attribute(interpreter, value, arguments);
  ArgumentReader reader(interpreter.budget(), "map", arguments);
  const std::string name = reader.text("filter");
  const Arguments filter_arguments{reader.rest(), std::move(arguments.named)};
  ListBuilder mapped(interpreter.budget());
  for (const Value& item : interpreter.items_of(value)) {
    interpreter.budget().step(1 + filter_arguments.positional.size() / 4);
    Arguments each = filter_arguments;
    mapped.push(interpreter.filter(name, item, each));
  }
  return mapped.finish(Sequence::Kind::kGenerator, "sync_do_map");
}

Value groupby(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "groupby", arguments);
  const AttributePath path(interpreter, reader.required("attribute"));
  const Value fallback = reader.optional("default").value_or(none());
  const bool case_sensitive = reader.flag_or("case_sensitive", false);
  reader.finish();
  std::vector<std::array<Value, 3>> rows;  // sorted by, shown, item
  for (const Value& item : interpreter.items_of(value)) {
    Value shown = path.of(item);
    if (shown.is_undefined() && !fallback.is_none()) shown = fallback;
    rows.push_back({comparison_key(budget, shown, case_sensitive), shown, item});
  }
  for (const auto& row : rows) order(budget, rows.front()[0], row[0], "<");
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const auto& a, const auto& b) { return order(budget, a[0], b[0], "<") < 0; });
  ListBuilder groups(budget);
  for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
    ListBuilder members(budget);
    for (; end < rows.size() && equal(budget, rows[begin][0], rows[end][0]); ++end) members.push(rows[end][2]);
    if (end == begin) ++end;  // a key that does not equal itself (NaN)
    groups.push(make_sequence(budget, {rows[begin][1], members.finish()}, Sequence::Kind::kTuple));
  }
  return groups.finish();
}

Value attribute(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "attr", arguments);
  const std::string name = reader.text("name");
  reader.finish();
  if (auto found = own_attribute(interpreter, value, name)) return std::move(*found);
  if (name.starts_with("__")) budget.fail("access to attribute '" + name + "' is unsafe and refused");
  return make_undefined(budget, "there is no attribute '" + name + "'");
}

}  // namespace

std::span<const Filter> selection_filters() {
  static constexpr std::array<Filter, 7> kFilters{{
      {"attr", attribute},
      {"groupby", groupby},
      {"map", map},
      {"reject", choose<false, false>},
      {"rejectattr", choose<false, true>},
      {"select", choose<true, false>},
      {"selectattr", choose<true, true>},
  }};
  return kFilters;
}

const Filter* find_filter(std::string_view name) {
  for (const std::span<const Filter> filters : {text_filters(), sequence_filters(), selection_filters()}) {
    const auto found = std::find_if(filters.begin(), filters.end(), [&](const Filter& f) { return f.name == name; });
    if (found != filters.end()) return &*found;
  }
  return nullptr;
}

}  // namespace finetune::jinja
