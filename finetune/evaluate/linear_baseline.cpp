#include "finetune/evaluate/linear_baseline.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <string>

#include "finetune/evaluate/hashed_text.h"
#include "kernels/core/random.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using Examples = std::vector<const platform::Example*>;

constexpr std::uint32_t kTextFeatures = 1u << 14;
constexpr int kPasses = 25;
constexpr std::size_t kMostWeights = std::size_t{1} << 25;
constexpr std::size_t kRowsBetweenQuestions = 64;

struct SparseRow {
  std::vector<std::uint32_t> index;
  std::vector<float> value;
};

class Featurizer {
 public:
  explicit Featurizer(const Examples& train) {
    for (const platform::Example* example : train) {
      each_value(*example, [&](const std::string& name, double value) {
        const auto [found, fresh] = columns_.try_emplace(name, Column{next_, 0, 0, 0});
        if (fresh) ++next_;
        Column& column = found->second;
        column.count += 1;
        const double from_mean = value - column.mean;
        column.mean += from_mean / column.count;
        column.squares += from_mean * (value - column.mean);
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
      const double deviation = std::sqrt(std::max(1e-12, column.squares / column.count));
      const bool indicator = name.starts_with("c:");
      row.index.push_back(kTextFeatures + column.index);
      row.value.push_back(
          static_cast<float>(indicator ? 1.0 : std::clamp((value - column.mean) / deviation, -8.0, 8.0)));
    });
    add_text(example, row);
    return row;
  }

 private:
  // Squares of the distances from the mean (Welford 1962): those of the values themselves cancel where all lie far
  // from 0.
  struct Column {
    std::uint32_t index;
    double count, mean, squares;
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

double sigmoid(double value) { return 1 / (1 + std::exp(-value)); }

// Mean and deviation of each output of numbers; labels are learned as they are.
struct Scale {
  std::vector<double> mean, deviation;

  Scale(const BaselineTarget& target, const Examples& train)
      : mean(target.outputs(), 0.0), deviation(target.outputs(), 1.0) {
    if (!has_numbers(target.task())) return;
    std::vector<double> count(mean.size(), 0.0), squares(mean.size(), 0.0);
    each_known(target, train, [&](std::size_t k, double) { count[k] += 1; });
    each_known(target, train, [&](std::size_t k, double value) { mean[k] += value / count[k]; });
    each_known(target, train, [&](std::size_t k, double value) { squares[k] += std::pow(value - mean[k], 2); });
    for (std::size_t k = 0; k < mean.size(); ++k)
      if (count[k] > 0) deviation[k] = std::max(1e-9, std::sqrt(squares[k] / count[k]));
  }

 private:
  template <typename Visit>
  static void each_known(const BaselineTarget& target, const Examples& train, const Visit& visit) {
    for (const auto* example : train) {
      const std::vector<double> wanted = target.of(*example);
      for (std::size_t k = 0; k < wanted.size(); ++k)
        if (!std::isnan(wanted[k])) visit(k, wanted[k]);
    }
  }
};

class Fit {
 public:
  Fit(const BaselineTarget& target, const Examples& train, const Featurizer& features,
      const std::function<bool()>& should_stop)
      : target_(target),
        train_(train),
        features_(features),
        should_stop_(should_stop),
        scale_(target, train),
        model_(features.width(), target.outputs()) {
    for (const auto* example : train) rows_.push_back(features_.row(*example));
  }

  void learn(std::uint64_t seed) {
    std::vector<std::size_t> order(rows_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    kernels::Random random(seed);
    for (int pass = 0; pass < kPasses; ++pass) {
      for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
      for (const std::size_t i : order) {
        ask_once_in_a_while();
        model_.update(rows_[i], slope(model_.output(rows_[i]), target_.of(*train_[i])));
      }
    }
  }

  std::vector<double> answer(const platform::Example& example) {
    ask_once_in_a_while();
    std::vector<double> output = model_.output(features_.row(example));
    link(output);
    for (std::size_t k = 0; k < output.size(); ++k) output[k] = scale_.mean[k] + scale_.deviation[k] * output[k];
    return output;
  }

 private:
  void ask_once_in_a_while() {
    if (++rows_seen_ % kRowsBetweenQuestions != 0 || !should_stop_ || !should_stop_()) return;
    throw platform::Error(platform::ErrorCode::kCancelled, "the linear baseline was asked to stop");
  }

  void link(std::vector<double>& output) const {
    if (has_one_label(target_.task())) softmax(output);
    if (target_.task() != Task::kMultilabel) return;
    for (double& each : output) each = sigmoid(each);
  }

  std::vector<double> slope(std::vector<double> output, const std::vector<double>& wanted) const {
    link(output);
    for (std::size_t k = 0; k < output.size(); ++k)
      output[k] = std::isnan(wanted[k]) ? 0 : output[k] - (wanted[k] - scale_.mean[k]) / scale_.deviation[k];
    return output;
  }

  const BaselineTarget& target_;
  const Examples& train_;
  const Featurizer& features_;
  const std::function<bool()>& should_stop_;
  const Scale scale_;
  LinearModel model_;
  std::vector<SparseRow> rows_;
  std::size_t rows_seen_ = 0;
};

}  // namespace

std::vector<std::vector<double>> linear_answers(const BaselineTarget& target, const Examples& train,
                                                const Examples& test, std::uint64_t seed,
                                                const std::function<bool()>& should_stop) {
  const Featurizer features(train);
  if (features.width() * target.outputs() > kMostWeights) return {};
  Fit fit(target, train, features, should_stop);
  fit.learn(seed);
  std::vector<std::vector<double>> answers;
  for (const auto* example : test) answers.push_back(fit.answer(*example));
  return answers;
}

}  // namespace finetune
