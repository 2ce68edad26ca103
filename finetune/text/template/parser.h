// From the text of a template to its syntax tree. Pure function; any thread.
#pragma once

#include <string_view>

#include "finetune/text/template/syntax.h"

namespace finetune::jinja {

/// Throws TemplateError, with the line, where the text is no template or over a limit.
Body parse_template(std::string_view source, const TemplateLimits& limits);

}  // namespace finetune::jinja
