#include "finetune/text/template/comparison.h"

#include <algorithm>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/object.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

bool equal_items(Budget& budget, const Sequence& left, const Sequence& right) {
  if (&left == &right) return true;
  if (left.kind != right.kind || left.kind == Sequence::Kind::kGenerator) return false;
  return std::equal(left.items.begin(), left.items.end(), right.items.begin(), right.items.end(),
                    [&](const Value& a, const Value& b) { return equal(budget, a, b); });
}

bool equal_entries(Budget& budget, const Dictionary& left, const Dictionary& right) {
  if (left.entries.size() != right.entries.size()) return false;
  return std::all_of(left.entries.begin(), left.entries.end(), [&](const auto& entry) {
    budget.step_items(right.entries.size());
    const auto found = std::find_if(right.entries.begin(), right.entries.end(),
                                    [&](const auto& other) { return equal(budget, other.first, entry.first); });
    return found != right.entries.end() && equal(budget, found->second, entry.second);
  });
}

bool equal_numbers(const Value& left, const Value& right) {
  const auto a = left.integer();
  const auto b = right.integer();
  if (a && b) return *a == *b;
  return *left.number() == *right.number();
}

std::partial_ordering order_items(Budget& budget, const Sequence& left, const Sequence& right, std::string_view sign) {
  const std::size_t shorter = std::min(left.items.size(), right.items.size());
  for (std::size_t i = 0; i < shorter; ++i) {
    if (!equal(budget, left.items[i], right.items[i])) return order(budget, left.items[i], right.items[i], sign);
  }
  return left.items.size() <=> right.items.size();
}

}  // namespace

bool truthy(const Value& value) {
  if (const auto number = value.integer()) return *number != 0;
  if (const auto number = value.number()) return *number != 0;
  if (const std::string* text = value.text()) return !text->empty();
  if (const Sequence* sequence = value.sequence()) {
    return sequence->kind == Sequence::Kind::kGenerator || !sequence->items.empty();
  }
  if (const Dictionary* dictionary = value.dictionary()) return !dictionary->entries.empty();
  return value.object() != nullptr;
}

bool equal(Budget& budget, const Value& left, const Value& right) {
  budget.step();
  if (left.number() && right.number()) return equal_numbers(left, right);
  if (left.data.index() != right.data.index()) return false;
  if (const std::string* text = left.text()) {
    budget.step_bytes(text->size());
    return *text == *right.text();
  }
  const DepthGuard guard(budget);
  if (const Sequence* sequence = left.sequence()) return equal_items(budget, *sequence, *right.sequence());
  if (const Dictionary* dictionary = left.dictionary()) return equal_entries(budget, *dictionary, *right.dictionary());
  return left.object() == right.object();
}

std::partial_ordering order(Budget& budget, const Value& left, const Value& right, std::string_view sign) {
  budget.step();
  const DepthGuard guard(budget);
  if (left.integer() && right.integer()) return *left.integer() <=> *right.integer();
  if (left.number() && right.number()) return *left.number() <=> *right.number();
  if (left.text() && right.text()) {
    budget.step_bytes(std::min(left.text()->size(), right.text()->size()));
    return left.text()->compare(*right.text()) <=> 0;
  }
  const Sequence* a = left.sequence();
  const Sequence* b = right.sequence();
  if (a && b && a->kind == b->kind && a->kind <= Sequence::Kind::kTuple) return order_items(budget, *a, *b, sign);
  for (const Value* value : {&left, &right}) {
    if (value->is_undefined()) budget.fail(undefined_reason(*value));
  }
  budget.fail("'" + std::string(sign) + "' not supported between instances of '" + std::string(type_name(left)) +
              "' and '" + std::string(type_name(right)) + "'");
}

bool contains(Budget& budget, const Value& container, const Value& item) {
  budget.step();
  if (const std::string* text = container.text()) {
    budget.step_bytes(text->size());
    if (item.text()) return find_text(*text, *item.text()) != std::string::npos;
    if (item.is_undefined()) budget.fail(undefined_reason(item));
    budget.fail("'in <string>' requires string as left operand, not " + std::string(type_name(item)));
  }
  if (Sequence* sequence = container.sequence()) {
    const auto begin = sequence->items.begin() + static_cast<std::ptrdiff_t>(sequence->consumed);
    const auto found =
        std::find_if(begin, sequence->items.end(), [&](const Value& value) { return equal(budget, value, item); });
    if (sequence->kind == Sequence::Kind::kGenerator) {
      sequence->consumed = static_cast<std::size_t>(found - sequence->items.begin()) + (found != sequence->items.end());
    }
    return found != sequence->items.end();
  }
  if (const Dictionary* dictionary = container.dictionary()) {
    check_hashable(budget, item);
    return std::any_of(dictionary->entries.begin(), dictionary->entries.end(),
                       [&](const auto& entry) { return equal(budget, entry.first, item); });
  }
  if (container.is_undefined()) return false;
  budget.fail("argument of type '" + std::string(type_name(container)) + "' is not iterable");
}

std::size_t length(Budget& budget, const Value& value) {
  if (const std::string* text = value.text()) {
    budget.step_bytes(text->size());
    return count_code_points(*text);
  }
  const Sequence* sequence = value.sequence();
  if (sequence && sequence->kind != Sequence::Kind::kGenerator) return sequence->items.size();
  if (const Dictionary* dictionary = value.dictionary()) return dictionary->entries.size();
  if (value.is_undefined()) return 0;
  budget.fail("object of type '" + std::string(type_name(value)) + "' has no len()");
}

void check_hashable(Budget& budget, const Value& value) {
  budget.step();
  const Sequence* sequence = value.sequence();
  if (value.dictionary() || (sequence && sequence->kind == Sequence::Kind::kList)) {
    budget.fail("unhashable type: '" + std::string(type_name(value)) + "'");
  }
  if (value.is_undefined()) budget.fail(undefined_reason(value));
  if (!sequence) return;
  for (const Value& item : sequence->items) check_hashable(budget, item);
}

}  // namespace finetune::jinja
