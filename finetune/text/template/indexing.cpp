#include "finetune/text/template/indexing.h"

#include <algorithm>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/comparison.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/methods.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

std::optional<Value> entry(Budget& budget, const Dictionary& dictionary, const Value& key) {
  budget.step_items(dictionary.entries.size());
  const auto found = std::find_if(dictionary.entries.begin(), dictionary.entries.end(),
                                  [&](const auto& candidate) { return equal(budget, candidate.first, key); });
  return found == dictionary.entries.end() ? std::nullopt : std::optional(found->second);
}

// The index from the front, or nullopt outside.
std::optional<std::size_t> position(Integer index, std::size_t size) {
  if (index < 0) index += static_cast<Integer>(size);
  if (index < 0 || index >= static_cast<Integer>(size)) return std::nullopt;
  return static_cast<std::size_t>(index);
}

std::optional<Value> character(Budget& budget, const std::string& text, Integer index) {
  const std::vector<std::size_t> offsets = counted_offsets(budget, text);
  const auto at = position(index, offsets.size() - 1);
  if (!at) return std::nullopt;
  return make_text(budget, text.substr(offsets[*at], offsets[*at + 1] - offsets[*at]));
}

std::optional<Value> own_item(Budget& budget, const Value& value, const Value& key) {
  if (const Dictionary* dictionary = value.dictionary()) return entry(budget, *dictionary, key);
  const auto index = key.integer();
  if (!index) return std::nullopt;
  if (const std::string* text = value.text()) return character(budget, *text, *index);
  const Sequence* sequence = value.sequence();
  if (!sequence || !sequence->indexable()) return std::nullopt;
  const auto at = position(*index, sequence->items.size());
  return at ? std::optional(sequence->items[*at]) : std::nullopt;
}

Value missing(Interpreter& interpreter, const Value& value, const Value& key) {
  std::string shown = key.text() ? key.text()->substr(0, 60) : std::string(type_name(key));
  if (const auto index = key.integer()) shown = integer_text(*index);
  return make_undefined(interpreter.budget(),
                        "'" + std::string(type_name(value)) + " object' has no attribute '" + repair_utf8(shown) + "'");
}

struct Bounds {
  std::int64_t start, stop, step;
};

std::int64_t bound(Budget& budget, const Value& value, std::int64_t fallback) {
  if (value.is_none()) return fallback;
  const auto number = value.integer();
  if (!number) budget.fail("slice indices must be integers or None or have an __index__ method");
  return clamped(*number);
}

// As slice.indices: a bound from the end is negative, and both stay within the sequence.
Bounds bounds(Budget& budget, const Value& start, const Value& stop, const Value& step, std::int64_t size) {
  const std::int64_t by = std::max(bound(budget, step, 1), -INT64_MAX);
  if (by == 0) budget.fail("slice step cannot be zero");
  const std::int64_t low = by > 0 ? 0 : -1;
  const std::int64_t high = by > 0 ? size : size - 1;
  const auto placed = [&](const Value& value, std::int64_t fallback) {
    if (value.is_none()) return fallback;
    const std::int64_t given = bound(budget, value, fallback);
    return std::clamp(given < 0 ? given + size : given, low, high);
  };
  return {placed(start, by > 0 ? low : high), placed(stop, by > 0 ? high : low), by};
}

template <class Visit>
void each(const Bounds& range, Visit visit) {
  std::int64_t at = range.start;
  while (range.step > 0 ? at < range.stop : at > range.stop) {
    visit(static_cast<std::size_t>(at));
    if (range.step > 0 ? range.step >= range.stop - at : range.step <= range.stop - at) return;
    at += range.step;
  }
}

Value text_slice(Budget& budget, const std::string& text, const Value& start, const Value& stop, const Value& step) {
  const std::vector<std::size_t> offsets = counted_offsets(budget, text);
  const Bounds range = bounds(budget, start, stop, step, static_cast<std::int64_t>(offsets.size()) - 1);
  std::string part;
  if (range.step == 1 && range.start < range.stop) {
    const std::size_t begin = offsets[static_cast<std::size_t>(range.start)];
    part = text.substr(begin, offsets[static_cast<std::size_t>(range.stop)] - begin);
  } else {
    each(range, [&](std::size_t at) { part.append(text, offsets[at], offsets[at + 1] - offsets[at]); });
  }
  return make_text(budget, std::move(part));
}

}  // namespace

std::optional<Value> own_attribute(Interpreter& interpreter, const Value& value, const std::string& name) {
  if (Object* object = value.object()) {
    if (auto found = object->attribute(interpreter, name)) return found;
  }
  if (auto method = find_method(interpreter, value, name)) return method;
  return std::nullopt;
}

Value attribute_of(Interpreter& interpreter, const Value& value, const std::string& name) {
  Budget& budget = interpreter.budget();
  if (value.is_undefined()) budget.fail(undefined_reason(value));
  if (auto found = own_attribute(interpreter, value, name)) return std::move(*found);
  const Dictionary* dictionary = value.dictionary();
  if (dictionary) {
    if (auto found = entry(budget, *dictionary, literal_text(name))) return std::move(*found);
  }
  if (name.starts_with("__")) budget.fail("access to attribute '" + name + "' is unsafe and refused");
  return missing(interpreter, value, literal_text(name));
}

Value item_of(Interpreter& interpreter, const Value& value, const Value& key) {
  Budget& budget = interpreter.budget();
  if (value.is_undefined()) budget.fail(undefined_reason(value));
  if (auto found = own_item(budget, value, key)) return std::move(*found);
  if (key.text()) {
    if (auto found = own_attribute(interpreter, value, *key.text())) return std::move(*found);
    if (key.text()->starts_with("__")) budget.fail("access to attribute '" + *key.text() + "' is unsafe and refused");
  }
  return missing(interpreter, value, key);
}

std::vector<std::size_t> counted_offsets(Budget& budget, std::string_view text) {
  budget.step_bytes(text.size() * 4);
  const Reservation room(budget, (text.size() + 1) * sizeof(std::size_t));
  return code_point_offsets(text);
}

Value slice_of(Budget& budget, const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (value.is_undefined()) budget.fail(undefined_reason(value));
  if (const std::string* text = value.text()) return text_slice(budget, *text, start, stop, step);
  const Sequence* sequence = value.sequence();
  if (!sequence || !sequence->indexable()) {
    // Jinja gives undefined here, which fails as soon as it is used.
    return make_undefined(budget, "'" + std::string(type_name(value)) + "' object cannot be sliced");
  }
  const Bounds range = bounds(budget, start, stop, step, static_cast<std::int64_t>(sequence->items.size()));
  ListBuilder items(budget);
  each(range, [&](std::size_t at) { items.push(sequence->items[at]); });
  const bool tuple = sequence->kind == Sequence::Kind::kTuple;
  return items.finish(tuple ? Sequence::Kind::kTuple : Sequence::Kind::kList);
}

}  // namespace finetune::jinja
