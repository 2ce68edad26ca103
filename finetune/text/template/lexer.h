// The tokens of a template. White-space control happens here, as chat templates are read everywhere: trim_blocks and
// lstrip_blocks are on, `-` and `+` override them, CRLF becomes LF, the last line feed of the template is dropped,
// and so are comments. Pure function; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/template/value.h"

namespace finetune::jinja {

struct Token {
  enum class Kind {
    kData,
    kPrintBegin,
    kPrintEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kText,
    kInteger,
    kFloat,
    kSign,
    kEnd
  };
  Kind kind = Kind::kEnd;
  std::string text;  // data, name, the value of a text literal, or the sign ("==")
  int line = 1;
  Integer integer = 0;
  double number = 0;
};

/// The last token is kEnd. Throws TemplateError.
std::vector<Token> tokenize(std::string_view source);

}  // namespace finetune::jinja
