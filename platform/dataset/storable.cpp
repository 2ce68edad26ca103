#include "platform/dataset/storable.h"

#include <cmath>
#include <string_view>

#include "platform/base/shortened.h"

namespace platform {
namespace {

constexpr std::size_t kLongestKey = 1024;  // PostgreSQL's index takes no row over 2,700 bytes
constexpr std::size_t kShown = 60;

bool is_text(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = text[at] == '\0' ? 0 : character_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

// True if `value` holds only what jsonb holds.
bool fits(const json::value& value) {
  if (value.is_string()) return is_text(std::string_view(value.get_string()));
  if (value.is_double()) return std::isfinite(value.get_double());
  if (value.is_array()) {
    for (const json::value& item : value.get_array()) {
      if (!fits(item)) return false;
    }
  }
  if (value.is_object()) {
    for (const auto& pair : value.get_object()) {
      if (!is_text(pair.key()) || !fits(pair.value())) return false;
    }
  }
  return true;
}

std::string refusal(std::string_view name) {
  return "the field '" + shortened(name, kShown) +
         "' holds a NUL character, bytes that are not UTF-8, or a number that is not finite; clean it at the source";
}

}  // namespace

std::optional<std::string> what_cannot_be_stored(const Observation& record) {
  if (record.key.size() > kLongestKey)
    return "the key has " + std::to_string(record.key.size()) + " bytes; at most " + std::to_string(kLongestKey) +
           " are taken; choose a shorter key template";
  if (!is_text(record.key))
    return "the key '" + shortened(record.key, kShown) +
           "' holds a NUL character or bytes that are not UTF-8; clean it at the source";
  if (record.event_time < kEarliestTime || record.event_time > kLatestTime)
    return "the event time is outside the years 1 to 9999; set the clock of the source";
  for (const auto& pair : record.fields) {
    if (!is_text(pair.key()) || !fits(pair.value())) return refusal(pair.key());
  }
  for (const auto& [name, signal] : record.signals) {
    if (!is_text(name) || !is_text(signal.unit) || !std::isfinite(signal.rate_hz)) return refusal(name);
  }
  return std::nullopt;
}

}  // namespace platform
