#include "web/client/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "web/client/table.h"

namespace web {

namespace {

std::string mebibytes(std::uint64_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", static_cast<double>(bytes) / 1048576.0);
  return text.data();
}

}  // namespace

std::string progress_text(const std::string& label, std::uint64_t done, std::optional<std::uint64_t> total,
                          std::chrono::milliseconds elapsed, const std::string& detail) {
  std::string text = label + "  ";
  if (total && *total > 0) {
    constexpr std::uint64_t kWidth = 20;
    const std::uint64_t filled = std::min(kWidth, done * kWidth / *total);
    text += "[" + std::string(filled, '#') + std::string(kWidth - filled, '.') + "]  " +
            std::to_string(std::min<std::uint64_t>(100, done * 100 / *total)) + " %  " + mebibytes(done) + " of " +
            mebibytes(*total) + " MiB";
    if (done > 0 && done < *total) {
      const auto left = static_cast<std::int64_t>(static_cast<double>(elapsed.count()) / 1000.0 *
                                                  static_cast<double>(*total - done) / static_cast<double>(done));
      text += "  ETA " + length_of_time(std::chrono::seconds(left));
    }
  } else {
    text += mebibytes(done) + " MiB";
  }
  return text + (detail.empty() ? "" : "  " + detail);
}

ProgressBar::ProgressBar(std::string label, std::optional<std::uint64_t> total)
    : label_(std::move(label)), total_(total), terminal_(::isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void ProgressBar::show(std::uint64_t done, const std::string& detail) {
  if (!terminal_) return;
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun_);
  std::fprintf(stderr, "\r\033[K%s", progress_text(label_, done, total_, elapsed, detail).c_str());
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace web
