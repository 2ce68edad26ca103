// One line on standard error that says how far a transfer is and when it will be done; nothing where that is no
// terminal. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace web {

class ProgressBar {
 public:
  /// `total`: bytes in all, if known.
  explicit ProgressBar(std::string label, std::optional<std::uint64_t> total);
  ~ProgressBar();
  void show(std::uint64_t done, const std::string& detail);

 private:
  std::string label_;
  std::optional<std::uint64_t> total_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

/// The line's text: "parts.csv  [####......]  40 %  12.3 of 30.8 MiB  ETA 12 s  detail". Pure.
std::string progress_text(const std::string& label, std::uint64_t done, std::optional<std::uint64_t> total,
                          std::chrono::milliseconds elapsed, const std::string& detail);

}  // namespace web
