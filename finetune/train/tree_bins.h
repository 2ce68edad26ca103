// TreeBins: the columns that trees ask, each value as the number of its bin, so that a split is looked for among 256
// places at most. Bins hold equal shares of the examples, or one value each where there are few. A column whose value
// is always the same is left out. Immutable; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "finetune/adapter/side_features.h"
#include "kernels/core/context.h"

namespace finetune {

inline constexpr std::size_t kMostBins = 256;

class TreeBins {
 public:
  /// `columns`: of the dense rows.
  TreeBins(kernels::Context& context, const std::vector<const SideInput*>& inputs,
           const std::vector<std::int32_t>& columns);

  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return static_cast<std::int64_t>(places_.size()); }
  /// Of all rows.
  std::span<const std::uint8_t> bins(std::int64_t column) const;
  /// Its place in a dense row.
  std::int32_t place(std::int64_t column) const { return places_[static_cast<std::size_t>(column)]; }
  /// Rising; a value is in bin b where it is over thresholds[b - 1] and at most thresholds[b].
  const std::vector<float>& thresholds(std::int64_t column) const {
    return thresholds_[static_cast<std::size_t>(column)];
  }
  /// Where a column's bins begin among those of all columns; for column == columns() how many there are.
  std::size_t first_bin(std::int64_t column) const { return first_bins_[static_cast<std::size_t>(column)]; }

 private:
  std::int64_t rows_ = 0;
  std::vector<std::int32_t> places_;
  std::vector<std::vector<float>> thresholds_;
  std::vector<std::size_t> first_bins_;
  std::vector<std::uint8_t> bins_;  // column after column
};

}  // namespace finetune
