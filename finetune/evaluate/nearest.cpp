#include "finetune/evaluate/nearest.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "finetune/evaluate/hashed_text.h"
#include "kernels/core/random.h"

namespace finetune {
namespace {

using Examples = std::vector<const platform::Example*>;

constexpr std::size_t kMostExamples = 10'000, kFewestExamples = 100;
constexpr double kMostWork = 2e10;    // comparisons of a value, or of a piece of text
constexpr double kWorkOfWords = 200;  // of one pair, in comparisons
constexpr std::size_t kNeighbours = 5;
constexpr std::uint32_t kBuckets = 1u << 18;
constexpr double kStrangers = 2;  // squared distance of what has nothing to do with each other

// Calls visit(name, value) for each number and sample that is there.
void each_number(const platform::Example& example, const std::function<void(const std::string&, double)>& visit) {
  for (const auto& [name, value] : example.numbers) {
    if (value && std::isfinite(*value)) visit("n:" + name, *value);
  }
  for (const auto& [name, signal] : example.signals) {
    for (std::size_t i = 0; i < signal.values.size(); ++i) {
      if (std::isfinite(signal.values[i]))
        visit("s:" + name + "@" + std::to_string(i), static_cast<double>(signal.values[i]));
    }
  }
}

double values_in(const platform::Example& example) {
  std::size_t count = example.numbers.size() + example.categories.size();
  for (const auto& [name, signal] : example.signals) count += signal.values.size();
  return static_cast<double>(count);
}

Examples drawn(const Examples& train, std::size_t questions, std::uint64_t seed) {
  const double pair = kWorkOfWords + values_in(*train.front());
  const auto most =
      static_cast<std::size_t>(kMostWork / (pair * static_cast<double>(std::max<std::size_t>(1, questions))));
  const std::size_t count = std::min(train.size(), std::clamp(most, kFewestExamples, kMostExamples));
  if (count == train.size()) return train;
  std::vector<std::size_t> order(train.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  kernels::Random random(seed);
  for (std::size_t i = 0; i < count; ++i) std::swap(order[i], order[i + random.below(order.size() - i)]);
  std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
  Examples kept;
  for (std::size_t i = 0; i < count; ++i) kept.push_back(train[order[i]]);
  return kept;
}

}  // namespace

NearestExamples::NearestExamples(const Examples& train, std::size_t questions, std::uint64_t seed)
    : examples_(drawn(train, questions, seed)) {
  learn_columns();
  for (const platform::Example* example : examples_) {
    const Row row = values_of(*example);
    rows_.insert(rows_.end(), row.begin(), row.end());
  }
  learn_words();
}

void NearestExamples::learn_columns() {
  struct Sums {
    double count = 0, sum = 0, squares = 0;
  };
  std::map<std::string, Sums> sums;
  for (const platform::Example* example : examples_) {
    each_number(*example, [&](const std::string& name, double value) {
      Sums& column = sums[name];
      column.count += 1;
      column.sum += value;
    });
    for (const auto& [name, value] : example->categories) {
      if (!value) continue;
      auto& codes = categories_[name].second;
      codes.try_emplace(*value, static_cast<float>(codes.size()));
    }
  }
  for (const platform::Example* example : examples_) {
    each_number(*example, [&](const std::string& name, double value) {
      Sums& column = sums[name];
      column.squares += std::pow(value - column.sum / column.count, 2);
    });
  }
  for (const auto& [name, column] : sums) {
    const double deviation = std::sqrt(column.squares / column.count);
    numbers_[name] = {column.sum / column.count, deviation > 0 ? deviation : 1, is_category_.size()};
    is_category_.push_back(false);
  }
  for (auto& [name, category] : categories_) {
    category.first = is_category_.size();
    is_category_.push_back(true);
  }
}

NearestExamples::Row NearestExamples::values_of(const platform::Example& example) const {
  Row row(is_category_.size(), std::numeric_limits<float>::quiet_NaN());
  each_number(example, [&](const std::string& name, double value) {
    const auto found = numbers_.find(name);
    if (found == numbers_.end()) return;
    const Number& number = found->second;
    row[number.column] = static_cast<float>((value - number.mean) / number.deviation);
  });
  for (const auto& [name, value] : example.categories) {
    const auto found = categories_.find(name);
    if (!value || found == categories_.end()) continue;
    const auto code = found->second.second.find(*value);
    row[found->second.first] = code == found->second.second.end() ? -1.0f : code->second;
  }
  return row;
}

double NearestExamples::value_distance(const Row& question, std::size_t example) const {
  const float* row = rows_.data() + example * question.size();
  double sum = 0;
  std::size_t common = 0;
  for (std::size_t i = 0; i < question.size(); ++i) {
    const float difference = question[i] - row[i];
    if (std::isnan(difference)) continue;
    ++common;
    if (is_category_[i])
      sum += difference != 0.0f ? kStrangers : 0;
    else
      sum += static_cast<double>(difference) * static_cast<double>(difference);
  }
  return common > 0 ? sum / static_cast<double>(common) : kStrangers;
}

void NearestExamples::learn_words() {
  std::vector<std::map<std::uint32_t, float>> counts;
  for (const platform::Example* example : examples_) {
    counts.push_back(hashed_pieces(words_of_example(*example), kBuckets));
    for (const auto& [piece, count] : counts.back()) inverse_frequency_[piece] += 1;
  }
  for (auto& [piece, having] : inverse_frequency_)
    having = std::log((1.0f + static_cast<float>(examples_.size())) / (1.0f + having)) + 1.0f;
  for (std::size_t i = 0; i < examples_.size(); ++i) {
    const std::map<std::uint32_t, float> words = words_of(*examples_[i]);
    has_words_.push_back(!words.empty());
    for (const auto& [piece, weight] : words) postings_[piece].push_back({static_cast<std::uint32_t>(i), weight});
  }
}

std::map<std::uint32_t, float> NearestExamples::words_of(const platform::Example& example) const {
  std::map<std::uint32_t, float> weights;
  double squares = 0;
  for (const auto& [piece, count] : hashed_pieces(words_of_example(example), kBuckets)) {
    const auto known = inverse_frequency_.find(piece);
    if (known == inverse_frequency_.end()) continue;
    const float weight = count * known->second;
    weights[piece] = weight;
    squares += static_cast<double>(weight) * static_cast<double>(weight);
  }
  for (auto& [piece, weight] : weights) weight = static_cast<float>(static_cast<double>(weight) / std::sqrt(squares));
  return weights;
}

std::vector<NearestExamples::Neighbour> NearestExamples::neighbours(const platform::Example& question,
                                                                    std::size_t most) const {
  const std::map<std::uint32_t, float> words = words_of(question);
  const bool silent = hashed_pieces(words_of_example(question), kBuckets).empty();
  std::vector<double> distance(examples_.size(), 0);
  for (std::size_t i = 0; i < distance.size(); ++i) distance[i] = silent && !has_words_[i] ? 0 : kStrangers;
  for (const auto& [piece, weight] : words) {
    for (const Posting& posting : postings_.at(piece))
      distance[posting.example] -= 2 * static_cast<double>(weight) * static_cast<double>(posting.weight);
  }
  if (!is_category_.empty()) {
    const Row values = values_of(question);
    for (std::size_t i = 0; i < distance.size(); ++i) distance[i] += value_distance(values, i);
  }
  // Rounding must not order what is equal.
  for (double& each : distance) each = std::round(each * 1e6) / 1e6;
  const std::size_t count = std::min(examples_.size(), most);
  std::vector<std::size_t> order(examples_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
      [&](std::size_t a, std::size_t b) { return distance[a] != distance[b] ? distance[a] < distance[b] : a < b; });
  std::vector<Neighbour> nearest;
  for (std::size_t i = 0; i < count; ++i) nearest.push_back({examples_[order[i]], distance[order[i]]});
  return nearest;
}

Examples NearestExamples::of(const platform::Example& question) const {
  Examples nearest;
  for (const Neighbour& each : neighbours(question, is_category_.empty() ? std::size_t{1} : kNeighbours))
    nearest.push_back(each.example);
  return nearest;
}

}  // namespace finetune
