// Filters on sequences and dictionaries that keep or reorder what is there.
#include <algorithm>
#include <array>

#include "finetune/text/template/arithmetic.h"
#include "finetune/text/template/attribute_path.h"
#include "finetune/text/template/code_points.h"
#include "finetune/text/template/comparison.h"
#include "finetune/text/template/filters.h"
#include "finetune/text/template/indexing.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/literals.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

struct Keyed {
  Value key, item;
};

void sort_keyed(Budget& budget, std::vector<Keyed>& items, bool reverse) {
  for (const Keyed& item : items) order(budget, items.front().key, item.key, "<");
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? order(budget, b.key, a.key, "<") < 0 : order(budget, a.key, b.key, "<") < 0;
  });
}

Value batch(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "batch", arguments);
  const std::int64_t count = reader.integer_or("linecount", 0);
  const auto fill = reader.optional("fill_with");
  reader.finish();
  if (count < 1) budget.fail("batch() needs a line count of at least 1");
  ListBuilder lines(budget);
  ListBuilder line(budget);
  for (Value& item : interpreter.items_of(value)) {
    line.push(std::move(item));
    if (static_cast<std::int64_t>(line.size()) == count) lines.push(line.finish());
  }
  if (line.size() > 0) {
    while (fill && !fill->is_none() && static_cast<std::int64_t>(line.size()) < count) line.push(*fill);
    lines.push(line.finish());
  }
  return lines.finish(Sequence::Kind::kGenerator, "do_batch");
}

Value dictsort(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "dictsort", arguments);
  const bool case_sensitive = reader.flag_or("case_sensitive", false);
  const std::string by = reader.optional_text("by").value_or("key");
  const bool reverse = reader.flag_or("reverse", false);
  reader.finish();
  if (by != "key" && by != "value") budget.fail("You can only sort by either \"key\" or \"value\"");
  const Dictionary* dictionary = value.dictionary();
  if (!dictionary) budget.fail("dictsort needs a mapping, not " + std::string(type_name(value)));
  std::vector<Keyed> items;
  for (const auto& [key, entry] : dictionary->entries) {
    items.push_back({comparison_key(budget, by == "key" ? key : entry, case_sensitive),
                     make_sequence(budget, {key, entry}, Sequence::Kind::kTuple)});
  }
  sort_keyed(budget, items, reverse);
  ListBuilder sorted(budget);
  for (Keyed& item : items) sorted.push(std::move(item.item));
  return sorted.finish();
}

Value first(Interpreter& interpreter, const Value& value, Arguments&) {
  Sequence* sequence = value.sequence();
  if (sequence && sequence->kind == Sequence::Kind::kGenerator && sequence->consumed < sequence->items.size()) {
    return sequence->items[sequence->consumed++];
  }
  const std::vector<Value> items = interpreter.items_of(value);
  return items.empty() ? make_undefined(interpreter.budget(), "No first item, sequence was empty.") : items.front();
}

Value last(Interpreter& interpreter, const Value& value, Arguments&) {
  const Sequence* sequence = value.sequence();
  if (sequence && sequence->kind == Sequence::Kind::kGenerator) {
    interpreter.budget().fail("'generator' object is not reversible");
  }
  const std::vector<Value> items = interpreter.items_of(value);
  return items.empty() ? make_undefined(interpreter.budget(), "No last item, sequence was empty.") : items.back();
}

Value items(Interpreter& interpreter, const Value& value, Arguments&) {
  Budget& budget = interpreter.budget();
  ListBuilder pairs(budget);
  if (!value.is_undefined() && !value.dictionary()) budget.fail("Can only get item pairs from a mapping.");
  if (value.dictionary()) {
    for (const auto& [key, entry] : value.dictionary()->entries) {
      pairs.push(make_sequence(budget, {key, entry}, Sequence::Kind::kTuple));
    }
  }
  return pairs.finish(Sequence::Kind::kGenerator, "do_items");
}

Value join(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "join", arguments);
  const Value separator = to_text(budget, reader.optional("d").value_or(literal_text("")));
  const AttributePath path(interpreter, reader.optional("attribute").value_or(none()));
  reader.finish();
  TextBuilder out(budget);
  bool begun = false;
  for (const Value& item : interpreter.items_of(value)) {
    if (begun) out.append(*separator.text());
    print(out, budget, path.of(item));
    begun = true;
  }
  return out.finish();
}

Value length_of(Interpreter& interpreter, const Value& value, Arguments&) {
  return integer(static_cast<Integer>(length(interpreter.budget(), value)));
}

Value list(Interpreter& interpreter, const Value& value, Arguments&) {
  return make_sequence(interpreter.budget(), interpreter.items_of(value));
}

template <bool kLargest>
Value extreme(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, kLargest ? "max" : "min", arguments);
  const bool case_sensitive = reader.flag_or("case_sensitive", false);
  const AttributePath path(interpreter, reader.optional("attribute").value_or(none()));
  reader.finish();
  std::optional<Keyed> best;
  for (const Value& item : interpreter.items_of(value)) {
    Value key = comparison_key(budget, path.of(item), case_sensitive);
    const auto than = best ? order(budget, key, best->key, kLargest ? ">" : "<") : std::partial_ordering::unordered;
    if (!best || (kLargest ? than > 0 : than < 0)) best = Keyed{std::move(key), item};
  }
  return best ? best->item : make_undefined(budget, "No aggregated item, sequence was empty.");
}

Value reverse(Interpreter& interpreter, const Value& value, Arguments&) {
  if (value.text()) return slice_of(interpreter.budget(), value, none(), none(), integer(-1));
  std::vector<Value> values = interpreter.items_of(value);
  std::reverse(values.begin(), values.end());
  return make_sequence(interpreter.budget(), std::move(values), Sequence::Kind::kGenerator, "reversed");
}

Value slice(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "slice", arguments);
  const std::int64_t slices = reader.integer_or("slices", 0);
  const auto fill = reader.optional("fill_with");
  reader.finish();
  if (slices < 1) budget.fail("slice() needs at least 1 slice");
  const std::vector<Value> values = interpreter.items_of(value);
  const std::size_t count = static_cast<std::size_t>(slices);
  const std::size_t longer = values.size() % count;
  ListBuilder columns(budget);
  std::size_t at = 0;
  for (std::size_t column = 0; column < count; ++column) {
    ListBuilder part(budget);
    for (std::size_t size = values.size() / count + (column < longer); size > 0; --size) part.push(values[at++]);
    if (fill && !fill->is_none() && column >= longer && longer > 0) part.push(*fill);
    columns.push(part.finish());
  }
  return columns.finish(Sequence::Kind::kGenerator, "do_slice");
}

Value sort(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "sort", arguments);
  const bool reversed = reader.flag_or("reverse", false);
  const bool case_sensitive = reader.flag_or("case_sensitive", false);
  const AttributePath path(interpreter, reader.optional("attribute").value_or(none()));
  reader.finish();
  std::vector<Keyed> keyed;
  for (const Value& item : interpreter.items_of(value)) {
    keyed.push_back({comparison_key(budget, path.of(item), case_sensitive), item});
  }
  sort_keyed(budget, keyed, reversed);
  ListBuilder sorted(budget);
  for (Keyed& item : keyed) sorted.push(std::move(item.item));
  return sorted.finish();
}

Value sum(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  ArgumentReader reader(interpreter.budget(), "sum", arguments);
  const AttributePath path(interpreter, reader.optional("attribute").value_or(none()));
  Value total = reader.optional("start").value_or(integer(0));
  reader.finish();
  if (total.text()) interpreter.budget().fail("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : interpreter.items_of(value)) {
    total = binary_operation(interpreter, "+", total, path.of(item));
  }
  return total;
}

Value unique(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "unique", arguments);
  const bool case_sensitive = reader.flag_or("case_sensitive", false);
  const AttributePath path(interpreter, reader.optional("attribute").value_or(none()));
  reader.finish();
  std::vector<Value> seen;
  ListBuilder kept(budget);
  for (const Value& item : interpreter.items_of(value)) {
    Value key = comparison_key(budget, path.of(item), case_sensitive);
    check_hashable(budget, key);
    const bool known =
        std::any_of(seen.begin(), seen.end(), [&](const Value& other) { return equal(budget, other, key); });
    if (known) continue;
    seen.push_back(std::move(key));
    kept.push(item);
  }
  return kept.finish(Sequence::Kind::kGenerator, "do_unique");
}

}  // namespace

AttributePath::AttributePath(Interpreter& interpreter, const Value& path) : interpreter_(interpreter) {
  if (path.integer()) parts_.push_back(path);
  if (!path.text()) return;
  std::string_view rest = *path.text();
  while (true) {
    interpreter.budget().step();
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string part(rest.substr(0, dot));
    const bool index = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    parts_.push_back(index ? integer(parse_integer(part, 10).value_or(-1)) : make_text(interpreter.budget(), part));
    if (dot == rest.size()) return;
    rest.remove_prefix(dot + 1);
  }
}

Value AttributePath::of(const Value& value) const {
  Value found = value;
  for (const Value& part : parts_) found = item_of(interpreter_, found, part);
  return found;
}

Value comparison_key(Budget& budget, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.text()) return value;
  budget.step_characters(value.text()->size());
  return make_text(budget, lower(*value.text()));
}

std::span<const Filter> sequence_filters() {
  static constexpr std::array<Filter, 16> kFilters{{
      {"batch", batch},
      {"count", length_of},
      {"dictsort", dictsort},
      {"first", first},
      {"items", items},
      {"join", join},
      {"last", last},
      {"length", length_of},
      {"list", list},
      {"max", extreme<true>},
      {"min", extreme<false>},
      {"reverse", reverse},
      {"slice", slice},
      {"sort", sort},
      {"sum", sum},
      {"unique", unique},
  }};
  return kFilters;
}

}  // namespace finetune::jinja
