// Formatted texts: 'a %05.2f' % x, and '{} {name}'.format(...). Conversions of Python's for texts, integers and floats;
// an attribute or item in a field is refused. Widths are checked against the budget before anything is padded.
#pragma once

#include <string>

#include "finetune/text/template/object.h"

namespace finetune::jinja {

Value percent_format(Budget& budget, const std::string& pattern, const Value& values);
Value brace_format(Budget& budget, const std::string& pattern, const Arguments& arguments);

}  // namespace finetune::jinja
