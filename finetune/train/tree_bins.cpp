#include "finetune/train/tree_bins.h"

#include <algorithm>

#include "kernels/core/parallel.h"

namespace finetune {
namespace {

// Rows that thresholds are taken from, evenly spread: sorting more would change them little and take seconds a column.
constexpr std::size_t kSampled = 65536;

// Between two values, the first itself where no number lies between.
float between(float low, float high) {
  const float middle = low + (high - low) / 2;
  return middle < high ? middle : low;
}

std::vector<float> sample_of(const std::vector<const SideInput*>& inputs, std::int32_t place) {
  const std::size_t count = std::min(inputs.size(), kSampled);
  std::vector<float> values;
  values.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    values.push_back(inputs[i * inputs.size() / count]->dense[static_cast<std::size_t>(place)]);
  return values;
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
    : rows_(static_cast<std::int64_t>(inputs.size())) {
  const auto asked = static_cast<std::int64_t>(columns.size());
  std::vector<std::vector<float>> thresholds(columns.size());
  kernels::parallel_for(context, asked, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
      thresholds[i] = thresholds_of(sample_of(inputs, columns[i]));
  });
  first_bins_.push_back(0);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (thresholds[i].empty()) continue;
    places_.push_back(columns[i]);
    first_bins_.push_back(first_bins_.back() + thresholds[i].size() + 1);
    thresholds_.push_back(std::move(thresholds[i]));
  }
  bins_.resize(inputs.size() * places_.size());
  kernels::parallel_for(context, this->columns(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t column = begin; column < end; ++column) {
      const std::vector<float>& borders = this->thresholds(column);
      std::uint8_t* bin = bins_.data() + column * rows_;
      for (const SideInput* input : inputs) {
        const float value = input->dense[static_cast<std::size_t>(place(column))];
        *bin++ = static_cast<std::uint8_t>(std::lower_bound(borders.begin(), borders.end(), value) - borders.begin());
      }
    }
  });
}

std::span<const std::uint8_t> TreeBins::bins(std::int64_t column) const {
  return {bins_.data() + column * rows_, static_cast<std::size_t>(rows_)};
}

}  // namespace finetune
