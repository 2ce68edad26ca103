#include "finetune/evaluate/number_metrics.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace finetune {
namespace {

using Numbers = std::span<const double>;

// Mean of of(truth - predicted).
template <typename Of>
double mean_of(Numbers truth, Numbers predicted, const Of& of) {
  double sum = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) sum += of(truth[i] - predicted[i]);
  return truth.empty() ? 0 : sum / static_cast<double>(truth.size());
}

}  // namespace

double root_mean_square_error(Numbers truth, Numbers predicted) {
  return std::sqrt(mean_of(truth, predicted, [](double difference) { return difference * difference; }));
}

double mean_absolute_error(Numbers truth, Numbers predicted) {
  return mean_of(truth, predicted, [](double difference) { return std::fabs(difference); });
}

double median_absolute_error(Numbers truth, Numbers predicted) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < truth.size(); ++i) errors.push_back(std::fabs(truth[i] - predicted[i]));
  if (errors.empty()) return 0;
  std::sort(errors.begin(), errors.end());
  return (errors[(errors.size() - 1) / 2] + errors[errors.size() / 2]) / 2;
}

double explained_share(Numbers truth, Numbers predicted) {
  const auto square = [](double difference) { return difference * difference; };
  const double count = static_cast<double>(truth.size());
  double sum = 0;
  for (const double value : truth) sum += value;
  const std::vector<double> mean(truth.size(), sum / std::max(1.0, count));
  const double error = mean_of(truth, predicted, square), spread = mean_of(truth, mean, square);
  if (spread > 0) return 1 - error / spread;
  return error > 0 ? 0 : 1;
}

double pinball_loss(Numbers truth, Numbers predicted, double q) {
  return mean_of(truth, predicted, [q](double difference) { return std::max(q * difference, (q - 1) * difference); });
}

double coverage(Numbers truth, Numbers low, Numbers high) {
  double within = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) within += truth[i] >= low[i] && truth[i] <= high[i] ? 1 : 0;
  return truth.empty() ? 0 : within / static_cast<double>(truth.size());
}

}  // namespace finetune
