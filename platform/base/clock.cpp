#include "platform/base/clock.h"

#include <array>
#include <cstdio>

#include "platform/base/error.h"
#include "platform/base/shortened.h"

namespace platform {
namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw Error(ErrorCode::kInvalidInput,
              "not an RFC 3339 time: \"" + shortened(text, 60) + "\"; write 2026-03-01T08:15:30Z");
}

int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) refuse(text);
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') refuse(text);
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

Time SystemClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::string format_time(Time time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 48> text{};
  const long micros = static_cast<long>(clock.subseconds().count());
  int length = std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                             static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                             static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                             static_cast<int>(clock.seconds().count()));
  if (micros != 0)
    length += std::snprintf(text.data() + length, text.size() - static_cast<std::size_t>(length), ".%06ld", micros);
  return std::string(text.data(), static_cast<std::size_t>(length)) + "Z";
}

Time parse_time(std::string_view text) {
  using namespace std::chrono;
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') refuse(text);
  if (text[10] != 'T' && text[10] != 't' && text[10] != ' ') refuse(text);
  const year_month_day date(year(digits(text, 0, 4)), month(static_cast<unsigned>(digits(text, 5, 2))),
                            day(static_cast<unsigned>(digits(text, 8, 2))));
  const int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) refuse(text);
  std::size_t at = 19;
  std::int64_t micros = 0;
  if (text[at] == '.') {
    std::int64_t unit = 100000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
      micros += unit * (text[at] - '0');
  }
  if (at >= text.size()) refuse(text);
  seconds offset{0};
  if (text[at] == '+' || text[at] == '-') {
    if (at + 6 != text.size() || text[at + 3] != ':') refuse(text);
    offset = hours(digits(text, at + 1, 2)) + minutes(digits(text, at + 4, 2));
    if (text[at] == '-') offset = -offset;
  } else if ((text[at] != 'Z' && text[at] != 'z') || at + 1 != text.size()) {
    refuse(text);
  }
  const Time time =
      Time(sys_days(date)) + hours(hour) + minutes(minute) + seconds(second) + microseconds(micros) - offset;
  if (time < kEarliestTime || time > kLatestTime) refuse(text);
  return time;
}

}  // namespace platform
