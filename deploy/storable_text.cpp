#include "deploy/storable_text.h"

#include <string_view>

#include "platform/base/error.h"

namespace deploy {
namespace {

void check(std::string_view text, const std::string& path) {
  if (text.find('\0') != std::string_view::npos)
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "text with a NUL character (\\u0000) cannot be kept: " + path + "; send it without", path);
}

}  // namespace

void refuse_nul(const platform::json::value& value, const std::string& path) {
  if (value.is_string()) return check(value.get_string(), path);
  if (value.is_array())
    for (const platform::json::value& entry : value.get_array()) refuse_nul(entry, path);
  if (!value.is_object()) return;
  for (const auto& field : value.get_object()) {
    check(field.key(), path);
    refuse_nul(field.value(), path + "." + std::string(field.key()));
  }
}

}  // namespace deploy
