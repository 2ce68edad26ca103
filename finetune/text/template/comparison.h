// Truth, equality, order and membership as Python defines them. Pure, but for the steps they count.
#pragma once

#include <compare>
#include <string_view>

#include "finetune/text/template/value.h"

namespace finetune::jinja {

bool truthy(const Value& value);
bool equal(Budget& budget, const Value& left, const Value& right);
/// Throws where the two have no order; `sign` ("<") names the operator in the error.
std::partial_ordering order(Budget& budget, const Value& left, const Value& right, std::string_view sign);
/// `item in container`. Throws where the container is none.
bool contains(Budget& budget, const Value& container, const Value& item);
/// Throws for a value without length.
std::size_t length(Budget& budget, const Value& value);
/// Throws for what cannot be a key (lists, dictionaries).
void check_hashable(Budget& budget, const Value& value);

}  // namespace finetune::jinja
