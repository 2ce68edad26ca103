// Time of day, and its RFC 3339 text. Code that waits or stamps takes a Clock, so that tests turn the hands.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace platform {

/// UTC, microseconds (PostgreSQL's own resolution).
using Time = std::chrono::sys_time<std::chrono::microseconds>;
/// The years 1 to 9999: what RFC 3339 and PostgreSQL both write.
constexpr Time kEarliestTime = std::chrono::sys_days(std::chrono::year(1) / 1 / 1);
constexpr Time kLatestTime = std::chrono::sys_days(std::chrono::year(10000) / 1 / 1) - std::chrono::microseconds(1);

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

class SystemClock final : public Clock {
 public:
  Time now() const override;
};

/// "2026-03-01T08:15:30.123456Z"; zero microseconds are left out.
std::string format_time(Time time);
/// Reads RFC 3339 with any offset, `T` or blank between, 0 to 9 digits of a second (cut to microseconds).
/// Throws kInvalidInput with the text, also for a time whose year in UTC is not 1 to 9999.
Time parse_time(std::string_view text);

}  // namespace platform
