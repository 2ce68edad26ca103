#include "workflows/gate_statistics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <numeric>
#include <random>
#include <set>

#include "finetune/evaluate/class_metrics.h"
#include "finetune/evaluate/metrics.h"
#include "platform/base/json.h"

namespace workflows {
namespace {

namespace json = platform::json;
using Rows = std::span<const PredictedExample>;
using Chosen = std::span<const std::size_t>;

double accuracy(Rows rows, Chosen chosen) {
  const auto right =
      std::count_if(chosen.begin(), chosen.end(), [&](std::size_t i) { return rows[i].truth == rows[i].prediction; });
  return static_cast<double>(right) / static_cast<double>(chosen.size());
}

// Mean over the classes that occur in the chosen rows, as truth or as prediction.
double macro_f1(Rows rows, Chosen chosen) {
  struct Counts {
    double hit = 0, wrong = 0;  // wrong: false alarms plus misses
  };
  std::map<std::string_view, Counts> classes;
  for (std::size_t i : chosen) {
    if (rows[i].truth == rows[i].prediction) {
      classes[rows[i].truth].hit += 1;
    } else {
      classes[rows[i].truth].wrong += 1;
      classes[rows[i].prediction].wrong += 1;
    }
  }
  double sum = 0;
  for (const auto& [name, counts] : classes) sum += 2 * counts.hit / (2 * counts.hit + counts.wrong);
  return sum / static_cast<double>(classes.size());
}

double error_of(Rows rows, Chosen chosen, bool squared) {
  double sum = 0;
  for (std::size_t i : chosen) {
    const double difference = rows[i].predicted_value - rows[i].true_value;
    sum += squared ? difference * difference : std::abs(difference);
  }
  const double mean = sum / static_cast<double>(chosen.size());
  return squared ? std::sqrt(mean) : mean;
}

std::string rarer_class(Rows rows) {
  std::map<std::string, std::size_t> counts;
  for (const PredictedExample& row : rows) ++counts[row.truth];
  const auto least =
      std::min_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return least == counts.end() ? std::string() : least->first;
}

// How high each chosen row ranks the class `positive`.
std::vector<finetune::Ranked> ranking_of(Rows rows, Chosen chosen, const std::string& positive) {
  std::vector<finetune::Ranked> ranked;
  for (const std::size_t i : chosen) {
    const auto found = rows[i].probabilities.find(positive);
    ranked.push_back({found == rows[i].probabilities.end() ? 0.0 : found->second, rows[i].truth == positive});
  }
  return ranked;
}

// How sure of its choice the model is, and whether the choice was right.
std::vector<finetune::Ranked> confidence_of(Rows rows, Chosen chosen) {
  std::vector<finetune::Ranked> ranked;
  for (const std::size_t i : chosen) {
    const auto found = rows[i].probabilities.find(rows[i].prediction);
    ranked.push_back({found == rows[i].probabilities.end() ? 0.0 : found->second, rows[i].truth == rows[i].prediction});
  }
  return ranked;
}

// As the evaluation has it: of the class `positive` where there are two, else of the choice.
double calibration_error(Rows rows, Chosen chosen, const std::string& positive) {
  const bool two = rows.front().probabilities.size() == 2;
  return finetune::calibration_error(two ? ranking_of(rows, chosen, positive) : confidence_of(rows, chosen));
}

// A mean of what stands beside each row: scores of answers, or of preferences between two.
bool is_of_answers(std::string_view metric) {
  const std::vector<std::string>& names = finetune::answer_metrics();
  return metric == "reward_accuracy" || metric == "reward_margin" ||
         std::find(names.begin(), names.end(), metric) != names.end();
}

// The rows that a metric speaks of: none has anything to say about an example that was not asked.
std::vector<PredictedExample> judged_rows(const std::string& metric, Rows rows) {
  std::vector<PredictedExample> judged;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(judged), [&](const PredictedExample& row) {
    return is_of_answers(metric) ? row.scores.contains(metric) : row.has_truth;
  });
  return judged;
}

// Of the rows that have it.
std::optional<double> mean_score(Rows rows, Chosen chosen, const std::string& metric) {
  double sum = 0, count = 0;
  for (const std::size_t i : chosen) {
    const auto found = rows[i].scores.find(metric);
    if (found == rows[i].scores.end()) continue;
    sum += found->second;
    count += 1;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

PredictedExample read_line(std::string_view line, std::size_t number) {
  const std::string where = "predictions line " + std::to_string(number);
  const json::value value = platform::parse_json(line, where);
  const json::object& object = platform::as_object(value, where);
  PredictedExample example;
  example.id = platform::string_or(object, "id", std::to_string(number), where);
  if (const json::value* scores = platform::find(object, "scores")) {
    for (const auto& [metric, score] : platform::as_object(*scores, where))
      example.scores[std::string(metric)] = score.to_number<double>();
  }
  // A text that the model was not asked for has its loss alone.
  if (platform::find(object, "loss") != nullptr && platform::find(object, "truth") == nullptr) {
    example.has_truth = false;
    return example;
  }
  const json::value& truth = platform::require(object, "truth", where);
  const json::value& prediction = platform::require(object, "prediction", where);
  if (truth.is_number() && prediction.is_number()) {
    example.true_value = truth.to_number<double>();
    example.predicted_value = prediction.to_number<double>();
  }
  if (prediction.is_array()) {
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          where +
                              " has several values, which gates cannot compare; gate a score with at_least or "
                              "at_most alone",
                          "better_than");
  }
  const auto text = [](const json::value& each) {
    return each.is_string() ? std::string(each.get_string()) : platform::canonical_json(each);
  };
  example.truth = text(truth);
  example.prediction = text(prediction);
  const json::value* probabilities = platform::find(object, "probabilities");
  if (probabilities == nullptr || !probabilities->is_object()) return example;
  for (const auto& [label, share] : probabilities->get_object())
    example.probabilities[std::string(label)] = share.to_number<double>();
  return example;
}

// Calls `difference` with kResamples draws of n indices with replacement.
Comparison bootstrap(std::size_t n, std::uint64_t seed, const std::function<double(Chosen)>& difference) {
  if (n == 0) throw platform::Error(platform::ErrorCode::kInvalidInput, "there are no predictions to compare");
  std::vector<std::size_t> chosen(n);
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  Comparison comparison;
  comparison.difference = difference(chosen);
  std::mt19937_64 random(seed);
  double better = 0;
  for (int i = 0; i < kResamples; ++i) {
    // The high bits times n: the same indices on every machine, which std::uniform_int_distribution does not promise.
    for (std::size_t& each : chosen) each = static_cast<std::size_t>(((random() >> 32) * n) >> 32);
    const double drawn = difference(chosen);
    better += drawn > 0 ? 1 : drawn == 0 ? 0.5 : 0;
  }
  comparison.share = better / kResamples;
  return comparison;
}

double require_metric(std::string_view metric, Rows rows, Chosen chosen, const std::string& positive) {
  if (const auto value = metric_of(metric, rows, chosen, positive)) return *value;
  throw platform::Error(
      platform::ErrorCode::kInvalidInput,
      "the metric '" + std::string(metric) +
          "' cannot be compared by bootstrap; use accuracy, macro_f1, average_precision, auroc, calibration_error, "
          "rmse, mae or a score of answers such as rouge_l",
      "metric");
}

}  // namespace

std::vector<PredictedExample> read_predictions(std::string_view lines) {
  std::vector<PredictedExample> rows;
  std::size_t number = 0;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    ++number;
    if (end > 0) rows.push_back(read_line(lines.substr(0, end), number));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return rows;
}

bool comparable(std::string_view metric) {
  constexpr std::string_view kOfRows[] = {"accuracy", "auroc", "average_precision", "calibration_error", "mae",
                                          "macro_f1", "rmse"};
  return is_of_answers(metric) || std::find(std::begin(kOfRows), std::end(kOfRows), metric) != std::end(kOfRows);
}

std::optional<double> metric_of(std::string_view metric, Rows rows, Chosen chosen, const std::string& positive) {
  if (chosen.empty()) return std::nullopt;
  if (metric == "accuracy") return accuracy(rows, chosen);
  if (metric == "macro_f1") return macro_f1(rows, chosen);
  if (metric == "rmse") return error_of(rows, chosen, true);
  if (metric == "mae") return error_of(rows, chosen, false);
  const bool of_probabilities = metric == "auroc" || metric == "average_precision" || metric == "calibration_error";
  if (of_probabilities) {
    const std::string one = positive.empty() ? rarer_class(rows) : positive;
    if (metric == "calibration_error") return calibration_error(rows, chosen, one);
    const std::vector<finetune::Ranked> ranked = ranking_of(rows, chosen, one);
    return metric == "auroc" ? finetune::auroc(ranked) : finetune::average_precision(ranked);
  }
  if (is_of_answers(metric)) return mean_score(rows, chosen, std::string(metric));
  return std::nullopt;
}

Comparison compare_with_score(const Yardstick& by, Rows all_rows, double score) {
  const std::vector<PredictedExample> rows = judged_rows(by.metric, all_rows);
  const std::string positive = by.positive.empty() ? rarer_class(rows) : by.positive;
  const double direction = by.higher_is_better ? 1 : -1;
  return bootstrap(rows.size(), by.seed, [&](Chosen chosen) {
    return direction * (require_metric(by.metric, rows, chosen, positive) - score);
  });
}

Comparison compare_paired(const Yardstick& by, Rows first, Rows second) {
  std::map<std::string_view, const PredictedExample*> by_id;
  for (const PredictedExample& row : second) by_id[row.id] = &row;
  const std::vector<PredictedExample> rows = judged_rows(by.metric, first);
  std::vector<PredictedExample> other;
  for (const PredictedExample& row : rows) {
    const auto found = by_id.find(row.id);
    if (found == by_id.end() || second.size() != first.size()) {
      throw platform::Error(platform::ErrorCode::kInvalidInput, "the two models were scored on different examples (" +
                                                                    row.id +
                                                                    "); evaluate both on the same dataset version");
    }
    other.push_back(*found->second);
  }
  const std::string positive = by.positive.empty() ? rarer_class(rows) : by.positive;
  const double direction = by.higher_is_better ? 1 : -1;
  return bootstrap(rows.size(), by.seed, [&](Chosen chosen) {
    return direction *
           (require_metric(by.metric, rows, chosen, positive) - require_metric(by.metric, other, chosen, positive));
  });
}

}  // namespace workflows
