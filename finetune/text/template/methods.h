// Methods of texts, dictionaries and lists, and the functions that every template can call.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "finetune/text/template/object.h"
#include "finetune/text/template/syntax.h"

namespace finetune::jinja {

/// The method bound to `value`; nullopt if it has none of that name. A method that would change its value is there as
/// an undefined one, which fails when it is called.
std::optional<Value> find_method(Interpreter& interpreter, const Value& value, const std::string& name);

using Method = Value (*)(Interpreter& interpreter, const Value& self, Arguments& arguments);
/// nullptr if texts have no method of that name.
Method find_text_method(std::string_view name);
/// The part of them that cuts texts into pieces.
Method find_text_split(std::string_view name);

/// Memory for the pieces that `text` may be cut into, and the time for cutting it.
Reservation room_for_pieces(Budget& budget, std::string_view text);

/// Sets cycler, dict, joiner, namespace, raise_exception, range and strftime_now.
void add_functions(Scope& scope);

}  // namespace finetune::jinja
