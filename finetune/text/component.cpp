#include "finetune/text/component.h"

#include <limits>

#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

// Far more than any real file has; each step may copy the text.
constexpr std::size_t kMaxComponents = 64;

void collect(std::vector<const json::object*>& objects, const json::value& value, const std::string& component,
             std::string_view list_key) {
  const json::object& object = platform::as_object(value, component);
  if (platform::require_string(object, "type", component) == "Sequence") {
    const std::string path = component + "." + std::string(list_key);
    for (const json::value& inner : platform::as_array(platform::require(object, list_key, component), path))
      collect(objects, inner, component, list_key);
    return;
  }
  if (objects.size() == kMaxComponents)
    throw Error(ErrorCode::kTooLarge, "tokenizer.json: " + component + " has more than 64 steps; remove some",
                component);
  objects.push_back(&object);
}

}  // namespace

std::vector<const json::object*> components_of(const json::value& value, const std::string& component,
                                               std::string_view list_key) {
  std::vector<const json::object*> objects;
  if (!value.is_null()) collect(objects, value, component, list_key);
  return objects;
}

Pattern read_pattern(const json::object& object, const std::string& component) {
  const std::string path = component + ".pattern";
  const json::object& pattern = platform::as_object(platform::require(object, "pattern", component), path);
  if (pattern.contains("String")) return Pattern(platform::require_string(pattern, "String", path), Dialect::kLiteral);
  return Pattern(platform::require_string(pattern, "Regex", path), Dialect::kOniguruma);
}

std::string require_character(const json::object& object, std::string_view key, std::string_view fallback,
                              const std::string& component) {
  std::string text = platform::string_or(object, key, fallback, component);
  std::size_t end = 0;
  if (!text.empty()) next_code_point(text, end);
  if (text.empty() || end != text.size()) {
    const std::string path = component + "." + std::string(key);
    throw Error(ErrorCode::kInvalidInput, "tokenizer.json: " + path + " must be one character, not '" + text + "'",
                path);
  }
  return text;
}

std::size_t size_or(const json::object& object, std::string_view key, std::size_t fallback,
                    const std::string& component) {
  const std::int64_t value = platform::int_or(object, key, static_cast<std::int64_t>(fallback), component);
  if (value < 0 || value > std::numeric_limits<std::int32_t>::max()) {
    const std::string path = component + "." + std::string(key);
    throw Error(ErrorCode::kInvalidInput,
                "tokenizer.json: " + path + " is " + std::to_string(value) + "; it must be a number from 0 to 2^31 - 1",
                path);
  }
  return static_cast<std::size_t>(value);
}

}  // namespace finetune
