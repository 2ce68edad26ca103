// Windows over the ordered rows of one group. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "platform/dataset/profile.h"

namespace platform {

struct RowRange {
  std::size_t begin = 0;
  std::size_t end = 0;  // one past the last row
};

/// Row ranges of the windows of a group of `rows` rows: ends at length, length + stride, ... A group shorter than the
/// length gives one shorter range if the rule pads, else none.
std::vector<RowRange> windows_of(const WindowRule& rule, std::size_t rows);
/// The one window that ends with the group's last row.
std::vector<RowRange> last_window_of(const WindowRule& rule, std::size_t rows);

}  // namespace platform
