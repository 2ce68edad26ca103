// value.name, value[key] and value[a:b:c]. An attribute that is missing falls back to the item, an item that is missing
// to the attribute; what neither has is undefined. Attributes of the host language (names with two underscores) and
// methods that change their value are refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/template/value.h"

namespace finetune::jinja {

class Interpreter;

Value attribute_of(Interpreter& interpreter, const Value& value, const std::string& name);
Value item_of(Interpreter& interpreter, const Value& value, const Value& key);
/// Methods and the attributes of objects alone, as the filter `attr` looks them up. nullopt if there is none.
std::optional<Value> own_attribute(Interpreter& interpreter, const Value& value, const std::string& name);
/// code_point_offsets, whose time and memory are counted.
std::vector<std::size_t> counted_offsets(Budget& budget, std::string_view text);
/// A bound that is none is left open.
Value slice_of(Budget& budget, const Value& value, const Value& start, const Value& stop, const Value& step);

}  // namespace finetune::jinja
