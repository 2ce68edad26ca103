#include "finetune/evaluate/class_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace finetune {
namespace {

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

double f1_of(const Confusion& confusion, std::size_t index) {
  return share(2 * confusion.counts[index][index], confusion.truths[index] + confusion.predictions[index]);
}

std::vector<Ranked> best_first(std::span<const Ranked> ranked) {
  std::vector<Ranked> sorted(ranked.begin(), ranked.end());
  std::sort(sorted.begin(), sorted.end(), [](const Ranked& a, const Ranked& b) { return a.score > b.score; });
  return sorted;
}

// Calls use(positives, negatives) for each group of equal scores, best first.
template <typename Use>
void for_thresholds(std::span<const Ranked> ranked, const Use& use) {
  const std::vector<Ranked> sorted = best_first(ranked);
  for (std::size_t i = 0; i < sorted.size();) {
    const double score = sorted[i].score;
    double positives = 0, negatives = 0;
    for (; i < sorted.size() && sorted[i].score == score; ++i) (sorted[i].positive ? positives : negatives) += 1;
    use(positives, negatives);
  }
}

double count_positives(std::span<const Ranked> ranked) {
  return static_cast<double>(
      std::count_if(ranked.begin(), ranked.end(), [](const Ranked& item) { return item.positive; }));
}

}  // namespace

Confusion confusion_of(std::span<const std::int32_t> truth, std::span<const std::int32_t> predicted) {
  Confusion confusion;
  std::vector<std::int32_t>& classes = confusion.classes;
  classes.assign(truth.begin(), truth.end());
  classes.insert(classes.end(), predicted.begin(), predicted.end());
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  const auto place = [&](std::int32_t of) {
    return static_cast<std::size_t>(std::lower_bound(classes.begin(), classes.end(), of) - classes.begin());
  };
  confusion.counts.assign(classes.size(), std::vector<double>(classes.size(), 0));
  confusion.truths.assign(classes.size(), 0);
  confusion.predictions.assign(classes.size(), 0);
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const std::size_t row = place(truth[i]), column = place(predicted[i]);
    confusion.counts[row][column] += 1;
    confusion.truths[row] += 1;
    confusion.predictions[column] += 1;
    confusion.hits += row == column ? 1 : 0;
  }
  confusion.total = static_cast<double>(truth.size());
  return confusion;
}

double accuracy(const Confusion& confusion) { return share(confusion.hits, confusion.total); }

double balanced_accuracy(const Confusion& confusion) {
  double sum = 0, present = 0;
  for (std::size_t k = 0; k < confusion.classes.size(); ++k) {
    if (confusion.truths[k] == 0) continue;
    present += 1;
    sum += confusion.counts[k][k] / confusion.truths[k];
  }
  return share(sum, present);
}

double macro_f1(const Confusion& confusion) {
  double sum = 0;
  for (std::size_t k = 0; k < confusion.classes.size(); ++k) sum += f1_of(confusion, k);
  return share(sum, static_cast<double>(confusion.classes.size()));
}

double micro_f1(const Confusion& confusion) { return accuracy(confusion); }

double weighted_f1(const Confusion& confusion) {
  double sum = 0;
  for (std::size_t k = 0; k < confusion.classes.size(); ++k) sum += confusion.truths[k] * f1_of(confusion, k);
  return share(sum, confusion.total);
}

double cohen_kappa(const Confusion& confusion) {
  double by_chance = 0;
  for (std::size_t k = 0; k < confusion.classes.size(); ++k)
    by_chance += confusion.truths[k] * confusion.predictions[k];
  const double expected = share(by_chance, confusion.total * confusion.total);
  return expected < 1 ? (accuracy(confusion) - expected) / (1 - expected) : 1;
}

double quadratic_kappa(const Confusion& confusion, std::span<const double> values) {
  double observed = 0, expected = 0;
  for (std::size_t t = 0; t < confusion.classes.size(); ++t) {
    for (std::size_t p = 0; p < confusion.classes.size(); ++p) {
      const double squared = (values[t] - values[p]) * (values[t] - values[p]);
      observed += squared * confusion.counts[t][p];
      expected += squared * confusion.truths[t] * confusion.predictions[p] / confusion.total;
    }
  }
  return expected > 0 ? 1 - observed / expected : 1;
}

double matthews(const Confusion& confusion) {
  double crossed = 0, truths = 0, predictions = 0;
  for (std::size_t k = 0; k < confusion.classes.size(); ++k) {
    crossed += confusion.truths[k] * confusion.predictions[k];
    truths += confusion.truths[k] * confusion.truths[k];
    predictions += confusion.predictions[k] * confusion.predictions[k];
  }
  const double all = confusion.total * confusion.total;
  return share(confusion.hits * confusion.total - crossed, std::sqrt((all - truths) * (all - predictions)));
}

double average_precision(std::span<const Ranked> ranked) {
  const double positives = count_positives(ranked);
  double area = 0, hits = 0, seen = 0;
  for_thresholds(ranked, [&](double fresh, double negatives) {
    hits += fresh;
    seen += fresh + negatives;
    area += share(fresh, positives) * hits / seen;
  });
  return area;
}

double auroc(std::span<const Ranked> ranked) {
  const double positives = count_positives(ranked),
               pairs = positives * (static_cast<double>(ranked.size()) - positives);
  double below = 0, above = 0;
  for_thresholds(ranked, [&](double fresh, double negatives) {
    below += negatives * (above + fresh / 2);
    above += fresh;
  });
  return pairs > 0 ? below / pairs : 0.5;
}

double brier(std::span<const Ranked> ranked) {
  double sum = 0;
  for (const Ranked& item : ranked) sum += std::pow(item.score - (item.positive ? 1 : 0), 2);
  return share(sum, static_cast<double>(ranked.size()));
}

double calibration_error(std::span<const Ranked> ranked) {
  constexpr std::size_t kBins = 10;
  std::array<double, kBins + 1> edges{};
  for (std::size_t i = 0; i <= kBins; ++i) edges[i] = static_cast<double>(i) / kBins;
  std::array<double, kBins> excess{};  // sum of probabilities minus positives
  for (const Ranked& item : ranked) {
    const auto above = std::upper_bound(edges.begin() + 1, edges.end() - 1, item.score);
    excess[static_cast<std::size_t>(above - edges.begin()) - 1] += item.score - (item.positive ? 1 : 0);
  }
  double sum = 0;
  for (const double bin : excess) sum += std::fabs(bin);
  return share(sum, static_cast<double>(ranked.size()));
}

double log_loss(std::span<const Ranked> ranked) {
  double sum = 0;
  for (const Ranked& item : ranked) {
    const double probability = std::clamp(item.score, 1e-6, 1 - 1e-6);
    sum -= std::log(item.positive ? probability : 1 - probability);
  }
  return share(sum, static_cast<double>(ranked.size()));
}

}  // namespace finetune
