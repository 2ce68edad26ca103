#include "platform/dataset/window.h"

namespace platform {

std::vector<RowRange> windows_of(const WindowRule& rule, std::size_t rows) {
  std::vector<RowRange> ranges;
  const auto length = static_cast<std::size_t>(rule.length);
  if (rows == 0 || length == 0) return ranges;
  if (rows < length) {
    if (rule.pad) ranges.push_back({0, rows});
    return ranges;
  }
  for (std::size_t end = length; end <= rows; end += static_cast<std::size_t>(rule.stride))
    ranges.push_back({end - length, end});
  return ranges;
}

std::vector<RowRange> last_window_of(const WindowRule& rule, std::size_t rows) {
  const auto length = static_cast<std::size_t>(rule.length);
  if (rows == 0 || length == 0 || (rows < length && !rule.pad)) return {};
  return {{rows < length ? 0 : rows - length, rows}};
}

}  // namespace platform
