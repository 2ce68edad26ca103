#include "finetune/text/template/value.h"

#include <algorithm>

#include "finetune/text/template/comparison.h"
#include "finetune/text/template/object.h"

namespace finetune::jinja {
namespace {

constexpr std::size_t kNodeBytes = 64;  // what a shared text or container takes besides its contents

Value dictionary_value(Budget& budget, std::vector<std::pair<Value, Value>> entries, Reservation held) {
  auto dictionary = std::make_shared<Dictionary>();
  for (const auto& [key, value] : entries) {
    dictionary->nesting = std::max({dictionary->nesting, 1 + nesting_of(value), 1 + nesting_of(key)});
  }
  budget.check_nesting(dictionary->nesting);
  dictionary->entries = std::move(entries);
  dictionary->held = std::move(held);
  return Value{DictionaryPointer(std::move(dictionary))};
}

}  // namespace

int nesting_of(const Value& value) {
  if (const Sequence* sequence = value.sequence()) return sequence->nesting;
  if (const Dictionary* dictionary = value.dictionary()) return dictionary->nesting;
  if (const Object* object = value.object()) return object->nesting;
  return 0;
}

const std::string* Value::text() const {
  const auto* pointer = std::get_if<TextPointer>(&data);
  return pointer ? &(*pointer)->bytes : nullptr;
}

Sequence* Value::sequence() const {
  const auto* pointer = std::get_if<SequencePointer>(&data);
  return pointer ? pointer->get() : nullptr;
}

const Dictionary* Value::dictionary() const {
  const auto* pointer = std::get_if<DictionaryPointer>(&data);
  return pointer ? pointer->get() : nullptr;
}

Object* Value::object() const {
  const auto* pointer = std::get_if<ObjectPointer>(&data);
  return pointer ? pointer->get() : nullptr;
}

std::optional<Integer> Value::integer() const {
  if (const auto* value = std::get_if<Integer>(&data)) return *value;
  if (const auto* value = std::get_if<bool>(&data)) return *value ? 1 : 0;
  return std::nullopt;
}

std::optional<double> Value::number() const {
  if (const auto* value = std::get_if<double>(&data)) return *value;
  if (const auto value = integer()) return static_cast<double>(*value);
  return std::nullopt;
}

Value literal_text(std::string bytes) {
  return Value{TextPointer(std::make_shared<Text>(Text{std::move(bytes), {}, {}}))};
}

Value empty_tuple() {
  auto tuple = std::make_shared<Sequence>();
  tuple->kind = Sequence::Kind::kTuple;
  return Value{std::move(tuple)};
}

Value make_text(Budget& budget, std::string bytes) {
  budget.check_text(bytes.size());
  budget.step(1 + bytes.size() / 64);
  Reservation held(budget, bytes.size() + kNodeBytes);
  return Value{TextPointer(std::make_shared<Text>(Text{std::move(bytes), std::move(held), {}}))};
}

Value make_sequence(Budget& budget, std::vector<Value> items, Sequence::Kind kind, std::string label) {
  budget.step(1 + items.size() / 4);
  auto sequence = std::make_shared<Sequence>();
  sequence->held = Reservation(budget, items.size() * sizeof(Value) + 2 * kNodeBytes);
  for (const Value& item : items) sequence->nesting = std::max(sequence->nesting, 1 + nesting_of(item));
  budget.check_nesting(sequence->nesting);
  sequence->kind = kind;
  sequence->items = std::move(items);
  sequence->label = std::move(label);
  return Value{std::move(sequence)};
}

Value make_dictionary(Budget& budget, std::vector<std::pair<Value, Value>> entries) {
  std::vector<std::pair<Value, Value>> kept;
  for (auto& [key, value] : entries) {
    check_hashable(budget, key);
    budget.step(1 + kept.size() / 4);
    const auto same = std::find_if(kept.begin(), kept.end(),
                                   [&, &key = key](const auto& entry) { return equal(budget, entry.first, key); });
    if (same != kept.end()) {
      same->second = std::move(value);
    } else {
      kept.emplace_back(std::move(key), std::move(value));
    }
  }
  return make_distinct_dictionary(budget, std::move(kept));
}

Value make_distinct_dictionary(Budget& budget, std::vector<std::pair<Value, Value>> entries) {
  budget.step_items(entries.size());
  Reservation held(budget, entries.size() * 2 * sizeof(Value) + kNodeBytes);
  return dictionary_value(budget, std::move(entries), std::move(held));
}

Value make_undefined(Budget& budget, std::string reason) {
  const Value text = make_text(budget, std::move(reason));
  return Value{Undefined{std::get<TextPointer>(text.data)}};
}

void TextBuilder::append(std::string_view bytes) {
  if (bytes.size() > limit_ - bytes_.size()) {
    budget_.fail_limit(std::string("the ") + what_ + " grows over the limit of " + std::to_string(limit_) + " bytes");
  }
  budget_.step_bytes(bytes.size());
  held_.grow(bytes.size());
  bytes_.append(bytes);
}

void TextBuilder::append(std::string_view bytes, std::size_t times) {
  if (bytes.empty()) return;
  if (times > limit_ / bytes.size()) {
    budget_.fail_limit("a text of " + std::to_string(bytes.size()) + " bytes repeated " + std::to_string(times) +
                       " times is over the limit of " + std::to_string(limit_) + " bytes");
  }
  for (std::size_t i = 0; i < times; ++i) append(bytes);
}

void TextBuilder::append(const Text& text) {
  const std::size_t begin = bytes_.size();
  append(text.bytes);
  budget_.step_items(text.generated.size());
  held_.grow(text.generated.size() * sizeof(ByteSpan));
  for (const ByteSpan& span : text.generated) generated_.push_back({begin + span.begin, begin + span.end});
}

void TextBuilder::mark_generated(std::size_t begin) {
  held_.grow(sizeof(ByteSpan));
  generated_.push_back({begin, bytes_.size()});
}

Value TextBuilder::finish() {
  held_ = Reservation(budget_, 0);
  if (generated_.empty()) return make_text(budget_, std::move(bytes_));
  budget_.step_bytes(bytes_.size());
  Reservation held(budget_, bytes_.size() + generated_.size() * sizeof(ByteSpan) + kNodeBytes);
  return Value{TextPointer(std::make_shared<Text>(Text{std::move(bytes_), std::move(held), std::move(generated_)}))};
}

void ListBuilder::push(Value value) {
  budget_.step();
  held_.grow(sizeof(Value));
  items_.push_back(std::move(value));
}

std::vector<Value> ListBuilder::take() {
  held_ = Reservation(budget_, 0);
  return std::move(items_);
}

Value ListBuilder::finish(Sequence::Kind kind, std::string label) {
  return make_sequence(budget_, take(), kind, std::move(label));
}

}  // namespace finetune::jinja
