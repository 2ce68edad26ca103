#include "workflows/duration.h"

#include <charconv>

namespace workflows {

std::optional<std::chrono::seconds> duration_from(std::string_view text) {
  std::int64_t count = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count < 0) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(stop - text.data()));
  const std::int64_t scale = unit.empty() || unit == "s" ? 1
                             : unit == "m"               ? 60
                             : unit == "h"               ? 3600
                             : unit == "d"               ? 86400
                                                         : 0;
  constexpr std::int64_t kLongest = std::int64_t{366} * 86400;
  if (scale == 0 || count > kLongest / scale) return std::nullopt;
  return std::chrono::seconds(count * scale);
}

}  // namespace workflows
