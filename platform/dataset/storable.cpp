#include "platform/dataset/storable.h"

#include <cmath>
#include <string_view>

#include "platform/base/error.h"
#include "platform/base/shortened.h"

namespace platform {
namespace {

constexpr std::size_t kLongestKey = 1024;  // PostgreSQL's index takes no row over 2,700 bytes
constexpr std::size_t kShown = 60;
constexpr std::string_view kUnstorable = "a NUL character, bytes that are not UTF-8, or a number that is not finite";

// Where in `value` the first thing stands that jsonb does not hold, as ".note" or "[2].note"; empty: `value` itself.
std::optional<std::string> misfit(const json::value& value) {
  if (value.is_string() && !is_plain_text(std::string_view(value.get_string()))) return "";
  if (value.is_double() && !std::isfinite(value.get_double())) return "";
  if (value.is_array()) {
    std::size_t index = 0;
    for (const json::value& item : value.get_array()) {
      if (const auto inner = misfit(item)) return "[" + std::to_string(index) + "]" + *inner;
      ++index;
    }
  }
  if (value.is_object()) {
    for (const auto& pair : value.get_object()) {
      if (!is_plain_text(pair.key())) return "";
      if (const auto inner = misfit(pair.value())) return "." + std::string(pair.key()) + *inner;
    }
  }
  return std::nullopt;
}

std::string refusal(std::string_view name) {
  return "the field '" + shortened(name, kShown) + "' holds " + std::string(kUnstorable) + "; clean it at the source";
}

}  // namespace

std::optional<std::string> what_cannot_be_stored(const Observation& record) {
  if (record.key.size() > kLongestKey)
    return "the key has " + std::to_string(record.key.size()) + " bytes; at most " + std::to_string(kLongestKey) +
           " are taken; choose a shorter key template";
  if (!is_plain_text(record.key))
    return "the key '" + shortened(record.key, kShown) +
           "' holds a NUL character or bytes that are not UTF-8; clean it at the source";
  if (record.event_time < kEarliestTime || record.event_time > kLatestTime)
    return "the event time is outside the years 1 to 9999; set the clock of the source";
  for (const auto& pair : record.fields) {
    if (!is_plain_text(pair.key()) || misfit(pair.value())) return refusal(pair.key());
  }
  for (const auto& [name, signal] : record.signals) {
    if (!is_plain_text(name) || !is_plain_text(signal.unit) || !std::isfinite(signal.rate_hz)) return refusal(name);
  }
  return std::nullopt;
}

void require_storable(const json::value& value, const std::string& path) {
  const auto inner = misfit(value);
  if (!inner) return;
  throw Error(ErrorCode::kInvalidInput,
              "the server cannot keep what stands at " + shortened(path + *inner, kShown) + ": " +
                  std::string(kUnstorable) + "; send it without",
              path + *inner);
}

}  // namespace platform
