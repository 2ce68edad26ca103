#include "finetune/train/class_weights.h"

#include <algorithm>

namespace finetune {
namespace {

constexpr double kLargestClassWeight = 20.0;

}  // namespace

kernels::Tensor balanced_weights(const std::vector<EncodedExample>& examples, std::size_t classes) {
  std::vector<double> counts(classes, 0);
  for (const EncodedExample& example : examples) counts.at(static_cast<std::size_t>(example.label)) += 1;
  std::vector<float> weights;
  for (const double count : counts) {
    const double weight = static_cast<double>(examples.size()) / (static_cast<double>(classes) * std::max(1.0, count));
    weights.push_back(static_cast<float>(std::min(kLargestClassWeight, weight)));
  }
  return kernels::Tensor::from(weights);
}

}  // namespace finetune
