// What may name a source, a dataset, a model, an alias or a token: the names stand in addresses and on screens, so one
// name has one spelling. Pure.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/error.h"
#include "platform/dataset/unicode_text.h"

namespace platform {

/// Throws kInvalidInput unless `name` is 1 to 100 letters and digits of any script ("3호-라인"), '-', '_' and '.', does
/// not begin with '.', and is in Unicode normal form C. `path` is the field at fault; empty = `what`.
inline void check_name(const std::string& name, std::string_view what, std::string_view path = {}) {
  const std::string field(path.empty() ? what : path);
  const std::size_t length = word_length(name, "-_.");
  if (length == 0 || length > 100 || name[0] == '.') {
    const std::string shown = length <= 100 && name.size() <= 400 ? "'" + name + "'" : "it is too long";
    throw Error(ErrorCode::kInvalidInput,
                "not a " + std::string(what) + " name: " + shown +
                    "; use at most 100 letters, digits, '-', '_' and '.', and no '.' at the beginning",
                field);
  }
  if (const std::string normal = normalized_text(name); normal != name)
    throw Error(ErrorCode::kInvalidInput,
                "the " + std::string(what) + " name '" + normal +
                    "' is written in separate parts; send it in Unicode normal form C",
                field);
}

}  // namespace platform
