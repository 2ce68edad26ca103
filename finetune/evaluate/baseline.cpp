#include "finetune/evaluate/baseline.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "finetune/evaluate/hashed_text.h"
#include "finetune/evaluate/nearest.h"
#include "kernels/core/random.h"

namespace finetune {
namespace {

using Examples = std::vector<const platform::Example*>;

constexpr std::uint32_t kTextFeatures = 1u << 14;
constexpr int kPasses = 25;

struct SparseRow {
  std::vector<std::uint32_t> index;
  std::vector<float> value;
};

std::int32_t label_index(const std::vector<std::string>& labels, const platform::Example& example) {
  const auto found = std::find(labels.begin(), labels.end(), example.label.value_or(""));
  return found == labels.end() ? -1 : static_cast<std::int32_t>(found - labels.begin());
}

class Featurizer {
 public:
  explicit Featurizer(const Examples& train) {
    for (const platform::Example* example : train) {
      each_value(*example, [&](const std::string& name, double value) {
        Column& column = columns_.try_emplace(name, Column{next_++, 0, 0, 0}).first->second;
        column.count += 1;
        column.sum += value;
        column.squares += value * value;
      });
    }
  }

  std::uint32_t width() const { return kTextFeatures + next_; }

  SparseRow row(const platform::Example& example) const {
    SparseRow row;
    each_value(example, [&](const std::string& name, double value) {
      const auto found = columns_.find(name);
      if (found == columns_.end()) return;
      const Column& column = found->second;
      const double mean = column.sum / column.count;
      const double deviation = std::sqrt(std::max(1e-12, column.squares / column.count - mean * mean));
      const bool indicator = name.starts_with("c:");
      row.index.push_back(kTextFeatures + column.index);
      row.value.push_back(static_cast<float>(indicator ? 1.0 : std::clamp((value - mean) / deviation, -8.0, 8.0)));
    });
    add_text(example, row);
    return row;
  }

 private:
  struct Column {
    std::uint32_t index;
    double count, sum, squares;
  };

  static void each_value(const platform::Example& example,
                         const std::function<void(const std::string&, double)>& visit) {
    for (const auto& [name, value] : example.numbers) {
      if (value && std::isfinite(*value)) visit("n:" + name, *value);
    }
    for (const auto& [name, value] : example.categories) visit("c:" + name + "=" + value.value_or(""), 1.0);
    for (const auto& [name, signal] : example.signals) {
      for (std::size_t i = 0; i < signal.values.size(); ++i) {
        if (std::isfinite(signal.values[i]))
          visit("s:" + name + "@" + std::to_string(i), static_cast<double>(signal.values[i]));
      }
    }
  }

  // Scaled to a length that text and numbers learn at the same pace with.
  static void add_text(const platform::Example& example, SparseRow& row) {
    const auto counts = hashed_pieces(words_of_example(example), kTextFeatures);
    float squares = 0;
    for (const auto& [index, count] : counts) squares += count * count;
    for (const auto& [index, count] : counts) {
      row.index.push_back(index);
      row.value.push_back(4.0f * count / std::sqrt(squares));
    }
  }

  std::map<std::string, Column> columns_;
  std::uint32_t next_ = 0;
};

// Multinomial logistic or least squares by AdaGrad; K outputs.
class LinearModel {
 public:
  LinearModel(std::uint32_t width, std::size_t outputs)
      : outputs_(outputs),
        weights_((width + 1) * outputs, 0.0f),
        squares_((width + 1) * outputs, 1e-6f),
        bias_(width) {}

  std::vector<double> output(const SparseRow& row) const {
    std::vector<double> sums(outputs_, 0.0);
    add(row, [&](std::size_t at, float value, std::size_t k) {
      sums[k] += static_cast<double>(weights_[at]) * static_cast<double>(value);
    });
    return sums;
  }

  void update(const SparseRow& row, const std::vector<double>& gradient) {
    add(row, [&](std::size_t at, float value, std::size_t k) {
      const float slope = static_cast<float>(gradient[k]) * value + 1e-5f * weights_[at];
      squares_[at] += slope * slope;
      weights_[at] -= 0.1f * slope / std::sqrt(squares_[at]);
    });
  }

 private:
  template <typename Visit>
  void add(const SparseRow& row, const Visit& visit) const {
    for (std::size_t i = 0; i <= row.index.size(); ++i) {
      const std::size_t base = (i < row.index.size() ? row.index[i] : bias_) * outputs_;
      const float value = i < row.index.size() ? row.value[i] : 1.0f;
      for (std::size_t k = 0; k < outputs_; ++k) visit(base + k, value, k);
    }
  }

  std::size_t outputs_;
  std::vector<float> weights_, squares_;
  std::size_t bias_;
};

void softmax(std::vector<double>& values) {
  const double largest = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - largest);
  for (double& value : values) value /= sum;
}

double value_of(const platform::Example& example) {
  if (example.value) return *example.value;
  throw platform::Error(platform::ErrorCode::kInvalidInput, "example " + example.id + " has no value", "value");
}

// What a baseline can learn from: the same examples that a training takes.
Examples with_target(Task task, const std::vector<std::string>& labels, const Examples& train) {
  Examples usable;
  for (const platform::Example* example : train) {
    if (task == Task::kRegress ? example->value.has_value() : label_index(labels, *example) >= 0)
      usable.push_back(example);
  }
  return usable;
}

struct Target {
  double mean = 0, deviation = 1;
};

Target target_statistics(const Examples& train) {
  Target target;
  double squares = 0;
  for (const auto* example : train) target.mean += value_of(*example) / static_cast<double>(train.size());
  for (const auto* example : train) squares += std::pow(value_of(*example) - target.mean, 2);
  target.deviation = std::max(1e-9, std::sqrt(squares / static_cast<double>(train.size())));
  return target;
}

Outcome class_outcome(std::int32_t truth, const std::vector<double>& probabilities) {
  Outcome outcome;
  outcome.truth = truth;
  outcome.prediction =
      static_cast<std::int32_t>(std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin());
  outcome.probabilities.assign(probabilities.begin(), probabilities.end());
  return outcome;
}

std::vector<Outcome> constant_outcomes(Task task, const std::vector<std::string>& labels, const Examples& train,
                                       const Examples& test) {
  std::vector<Outcome> outcomes;
  if (task == Task::kRegress) {
    const Target target = target_statistics(train);
    for (const auto* example : test) {
      outcomes.emplace_back();
      outcomes.back().true_value = value_of(*example);
      outcomes.back().predicted_value = target.mean;
    }
    return outcomes;
  }
  std::vector<double> shares(labels.size(), 0.0);
  for (const auto* example : train) {
    shares[static_cast<std::size_t>(label_index(labels, *example))] += 1.0 / static_cast<double>(train.size());
  }
  for (const auto* example : test) outcomes.push_back(class_outcome(label_index(labels, *example), shares));
  return outcomes;
}

std::vector<Outcome> nearest_outcomes(Task task, const std::vector<std::string>& labels, const Examples& train,
                                      const NearestExamples& nearest, const Examples& test) {
  std::vector<double> shares(labels.size(), 0.0);
  for (const auto* example : train) {
    if (has_one_label(task))
      shares[static_cast<std::size_t>(label_index(labels, *example))] += 1.0 / static_cast<double>(train.size());
  }
  std::vector<Outcome> outcomes;
  for (const auto* example : test) {
    const Examples found = nearest.of(*example);
    const auto count = static_cast<double>(found.size());
    if (task == Task::kRegress) {
      outcomes.emplace_back();
      outcomes.back().true_value = value_of(*example);
      for (const auto* other : found) outcomes.back().predicted_value += value_of(*other) / count;
      continue;
    }
    std::vector<double> votes = shares;  // one vote of the whole training part keeps every class possible
    for (const auto* other : found) votes[static_cast<std::size_t>(label_index(labels, *other))] += 1;
    for (double& vote : votes) vote /= count + 1;
    outcomes.push_back(class_outcome(label_index(labels, *example), votes));
  }
  return outcomes;
}

std::vector<Outcome> linear_outcomes(Task task, const std::vector<std::string>& labels, const Examples& train,
                                     const Examples& test, std::uint64_t seed) {
  const Featurizer features(train);
  const Target target = task == Task::kRegress ? target_statistics(train) : Target{};
  LinearModel model(features.width(), task == Task::kRegress ? 1 : labels.size());
  std::vector<SparseRow> rows;
  for (const auto* example : train) rows.push_back(features.row(*example));
  std::vector<std::size_t> order(train.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  kernels::Random random(seed);
  for (int pass = 0; pass < kPasses; ++pass) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (const std::size_t i : order) {
      std::vector<double> gradient = model.output(rows[i]);
      if (task == Task::kRegress) {
        gradient[0] -= (value_of(*train[i]) - target.mean) / target.deviation;
      } else {
        softmax(gradient);
        gradient[static_cast<std::size_t>(label_index(labels, *train[i]))] -= 1;
      }
      model.update(rows[i], gradient);
    }
  }
  std::vector<Outcome> outcomes;
  for (const auto* example : test) {
    std::vector<double> output = model.output(features.row(*example));
    if (task == Task::kRegress) {
      outcomes.emplace_back();
      outcomes.back().true_value = value_of(*example);
      outcomes.back().predicted_value = target.mean + target.deviation * output[0];
    } else {
      softmax(output);
      outcomes.push_back(class_outcome(label_index(labels, *example), output));
    }
  }
  return outcomes;
}

}  // namespace

std::vector<Baseline> baseline_outcomes(Task task, const std::vector<std::string>& labels, const Examples& all,
                                        const Examples& test, std::uint64_t seed) {
  if (!has_one_label(task) && task != Task::kRegress) return {};
  const Examples train = with_target(task, labels, all);
  if (train.empty()) return {};
  const NearestExamples nearest(train, test.size(), seed);
  return {{task == Task::kRegress ? "mean" : "majority", constant_outcomes(task, labels, train, test), train.size()},
          {"linear", linear_outcomes(task, labels, train, test, seed), train.size()},
          {"nearest", nearest_outcomes(task, labels, train, nearest, test), nearest.kept()}};
}

}  // namespace finetune
