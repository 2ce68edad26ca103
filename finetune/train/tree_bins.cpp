#include "finetune/train/tree_bins.h"

#include <algorithm>

#include "kernels/core/parallel.h"

namespace finetune {
namespace {

// Between two values, the first itself where no number lies between.
float between(float low, float high) {
  const float middle = low + (high - low) / 2;
  return middle < high ? middle : low;
}

std::vector<float> thresholds_of(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  std::vector<float> different = values;
  different.erase(std::unique(different.begin(), different.end()), different.end());
  std::vector<float> thresholds;
  if (different.size() <= kMostBins) {
    for (std::size_t i = 1; i < different.size(); ++i) thresholds.push_back(between(different[i - 1], different[i]));
    return thresholds;
  }
  for (std::size_t bin = 1; bin < kMostBins; ++bin) {
    const float high = values[bin * values.size() / kMostBins];
    const auto at = std::lower_bound(different.begin(), different.end(), high);
    if (at == different.begin()) continue;
    const float threshold = between(*(at - 1), high);
    if (thresholds.empty() || threshold > thresholds.back()) thresholds.push_back(threshold);
  }
  return thresholds;
}

}  // namespace

TreeBins::TreeBins(kernels::Context& context, const std::vector<const SideInput*>& inputs,
                   const std::vector<std::int32_t>& columns)
    : rows_(static_cast<std::int64_t>(inputs.size())), columns_(columns), thresholds_(columns.size()) {
  bins_.resize(inputs.size() * columns.size());
  kernels::parallel_for(context, this->columns(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t column = begin; column < end; ++column) {
      std::vector<float> values;
      values.reserve(inputs.size());
      for (const SideInput* input : inputs) values.push_back(input->dense[static_cast<std::size_t>(place(column))]);
      std::vector<float>& borders = thresholds_[static_cast<std::size_t>(column)];
      borders = thresholds_of(values);
      std::uint8_t* bin = bins_.data() + column * rows_;
      for (const float value : values)
        *bin++ = static_cast<std::uint8_t>(std::lower_bound(borders.begin(), borders.end(), value) - borders.begin());
    }
  });
}

std::span<const std::uint8_t> TreeBins::bins(std::int64_t column) const {
  return {bins_.data() + column * rows_, static_cast<std::size_t>(rows_)};
}

}  // namespace finetune
