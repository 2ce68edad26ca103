// How long a piece of work takes when it is done again and again. Belongs to one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace kernels {

struct RepeatedTime {
  double median = 0, fastest = 0, slowest = 0;  // seconds
  std::int64_t count = 0;
};

/// Of at least one time; the median of an even count lies between the middle two.
inline RepeatedTime summary_of(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::sort(seconds.begin(), seconds.end());
  const std::size_t middle = seconds.size() / 2;
  const double median = seconds.size() % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
  return {median, seconds.front(), seconds.back(), static_cast<std::int64_t>(seconds.size())};
}

struct RepeatOptions {
  double seconds = 0.2;    // the repetitions go on for so long,
  std::int64_t least = 3;  // but are at least so many
  /// Called between repetitions; what it throws ends the measurement.
  std::function<void()> between;
};

/// Does the work once unmeasured (memory is touched, primitives are made), then again and again.
template <typename Work>
RepeatedTime repeated_time(const RepeatOptions& options, const Work& work) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); };
  work();
  std::vector<double> seconds;
  const auto begin = Clock::now();
  while (static_cast<std::int64_t>(seconds.size()) < options.least || since(begin) < options.seconds) {
    if (options.between) options.between();
    const auto from = Clock::now();
    work();
    seconds.push_back(since(from));
  }
  return summary_of(std::move(seconds));
}

}  // namespace kernels
