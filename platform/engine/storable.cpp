#include "platform/engine/storable.h"

#include <cmath>

namespace platform {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool follows(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u;
}

// Bytes of the character at `at`, 0 if there is none: RFC 3629, so no surrogates and no longer forms than needed.
std::size_t character_bytes(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return first == 0 ? 0 : 1;
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if (!follows(text, at + i)) return 0;
  }
  const auto second = static_cast<unsigned char>(text[at + 1]);
  if (first == 0xE0 && second < 0xA0) return 0;
  if (first == 0xED && second > 0x9F) return 0;
  if (first == 0xF0 && second < 0x90) return 0;
  if (first == 0xF4 && second > 0x8F) return 0;
  return size;
}

}  // namespace

std::string storable_text(std::string_view text, std::size_t limit_bytes) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character_bytes(text, at);
    const std::string_view next = size == 0 ? kReplacement : text.substr(at, size);
    if (out.size() + next.size() > limit_bytes) break;
    out += next;
    at += size == 0 ? 1 : size;
  }
  return out;
}

json::value storable(const json::value& value) {
  if (value.is_string()) return json::value(storable_text(value.get_string(), std::string_view::npos));
  if (value.is_double() && !std::isfinite(value.get_double())) return nullptr;
  if (value.is_array()) {
    json::array out;
    for (const json::value& each : value.get_array()) out.push_back(storable(each));
    return out;
  }
  if (!value.is_object()) return value;
  json::object out;
  for (const auto& [key, each] : value.get_object()) out[storable_text(key)] = storable(each);
  return out;
}

}  // namespace platform
