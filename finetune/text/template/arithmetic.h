// + - * / // % ** as Python has them, over integers of 128 bits and floats, and over texts and lists where Python
// allows it. Throws for other types, on division by zero and where an integer needs more bits.
#pragma once

#include <string>

#include "finetune/text/template/value.h"

namespace finetune::jinja {

class Interpreter;

Value binary_operation(Interpreter& interpreter, const std::string& sign, const Value& left, const Value& right);
Value negated(Budget& budget, const Value& value);
Value positive(Budget& budget, const Value& value);

}  // namespace finetune::jinja
