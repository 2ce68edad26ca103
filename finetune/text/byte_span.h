// A part of a text. A plain value.
#pragma once

#include <cstddef>

namespace finetune {

/// Bytes [begin, end).
struct ByteSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const ByteSpan&) const = default;
};

}  // namespace finetune
