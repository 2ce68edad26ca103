// What may name a dataset, a model, an alias or a token: the names stand in addresses and file names. Pure.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/error.h"

namespace platform {

/// Throws kInvalidInput unless `name` is 1 to 100 letters, digits, '-', '_' and '.', and does not begin with '.'.
inline void check_name(const std::string& name, std::string_view what) {
  const bool good =
      !name.empty() && name.size() <= 100 && name[0] != '.' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == std::string::npos;
  if (good) return;
  throw Error(ErrorCode::kInvalidInput,
              "not a " + std::string(what) + " name: '" + name.substr(0, 100) +
                  "'; use at most 100 letters, digits, '-', '_' and '.'",
              std::string(what));
}

}  // namespace platform
