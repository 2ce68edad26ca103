// Macros as values: a body, and the scope that it was defined in.
#pragma once

#include "finetune/text/template/statements.h"

namespace finetune::jinja {

/// `definition` must outlive the render. The scope is kept until the render ends.
Value make_macro(Interpreter& interpreter, Scope& scope, const MacroDefinition& definition);

}  // namespace finetune::jinja
