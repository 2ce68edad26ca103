#include "platform/engine/reported.h"

#include <cmath>

#include "platform/base/shortened.h"

namespace platform {
namespace {

constexpr std::size_t kLongestText = 8192;

}  // namespace

json::value reported(const json::value& value) {
  if (value.is_string()) return json::value(shortened(value.get_string(), kLongestText));
  if (value.is_double() && !std::isfinite(value.get_double())) return nullptr;
  if (value.is_array()) {
    json::array out;
    for (const json::value& each : value.get_array()) out.push_back(reported(each));
    return out;
  }
  if (!value.is_object()) return value;
  json::object out;
  for (const auto& [key, each] : value.get_object()) out[shortened(key, kLongestText)] = reported(each);
  return out;
}

}  // namespace platform
