#include "finetune/evaluate/label_metrics.h"

#include <algorithm>
#include <cmath>

namespace finetune {
namespace {

struct Counts {
  double hits = 0, claimed = 0, true_ones = 0;
  double f1() const { return claimed + true_ones > 0 ? 2 * hits / (claimed + true_ones) : 0; }
};

bool applies(float value) { return value >= 0.5f; }

std::vector<Counts> counts_of(const std::vector<MarkedLabels>& examples) {
  std::vector<Counts> counts(examples.empty() ? 0 : examples.front().marks.size());
  for (const MarkedLabels& example : examples) {
    for (std::size_t k = 0; k < counts.size(); ++k) {
      const bool truth = applies(example.marks[k]), claim = applies(example.probabilities[k]);
      counts[k].hits += truth && claim ? 1 : 0;
      counts[k].claimed += claim ? 1 : 0;
      counts[k].true_ones += truth ? 1 : 0;
    }
  }
  return counts;
}

}  // namespace

double label_macro_f1(const std::vector<MarkedLabels>& examples) {
  double sum = 0;
  const std::vector<Counts> counts = counts_of(examples);
  for (const Counts& label : counts) sum += label.f1();
  return counts.empty() ? 0 : sum / static_cast<double>(counts.size());
}

double label_micro_f1(const std::vector<MarkedLabels>& examples) {
  Counts all;
  for (const Counts& label : counts_of(examples)) {
    all.hits += label.hits;
    all.claimed += label.claimed;
    all.true_ones += label.true_ones;
  }
  for (const MarkedLabels& example : examples) all.true_ones += example.unknown;
  return all.f1();
}

double subset_accuracy(const std::vector<MarkedLabels>& examples) {
  double right = 0;
  for (const MarkedLabels& example : examples) {
    right += example.unknown == 0 &&
             std::equal(example.marks.begin(), example.marks.end(), example.probabilities.begin(),
                        [](float mark, float probability) { return applies(mark) == applies(probability); });
  }
  return examples.empty() ? 0 : right / static_cast<double>(examples.size());
}

double label_loss(const std::vector<MarkedLabels>& examples) {
  double sum = 0, count = 0;
  for (const MarkedLabels& example : examples) {
    for (std::size_t k = 0; k < example.marks.size(); ++k) {
      const auto probability = static_cast<double>(example.probabilities[k]);
      sum -= std::log(std::max(1e-12, applies(example.marks[k]) ? probability : 1 - probability));
      count += 1;
    }
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace finetune
