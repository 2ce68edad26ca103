// The statistics of a gate: metrics over predictions of a test part, and the bootstrap share of resamples in which one
// model beats another on the same examples. The same seed gives the same share on every machine. Pure; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace workflows {

/// One line of a predictions file.
struct PredictedExample {
  std::string id;
  std::string truth, prediction;               // classify
  double true_value = 0, predicted_value = 0;  // regress
  std::map<std::string, double> probabilities;
  std::map<std::string, double> scores;  // lm, by metric; empty where the model was not asked
  bool has_truth = true;                 // false: a text that has its loss alone
};

/// JSON lines {id, truth, prediction, probabilities, scores}. Throws kCorrupt naming the line.
std::vector<PredictedExample> read_predictions(std::string_view lines);

/// accuracy, macro_f1, average_precision, auroc, calibration_error, rmse, mae over the chosen rows, or the mean of a
/// score of answers; nullopt for a metric that cannot be had from predictions. `positive` is the class of
/// average_precision, auroc and, of two, calibration_error; empty = the rarer one in all rows.
std::optional<double> metric_of(std::string_view metric, std::span<const PredictedExample> rows,
                                std::span<const std::size_t> chosen, const std::string& positive = {});

/// Whether models can be compared by a metric over resamples: it can be had from predictions.
bool comparable(std::string_view metric);

struct Comparison {
  double share = 0;       // of resamples in which the first is better; ties count half
  double difference = 0;  // first minus second over all rows, in the metric's own direction: above 0 = better
};
constexpr int kResamples = 2000;

/// How two models are compared. Throughout `positive` is as in metric_of.
struct Yardstick {
  std::string metric;
  bool higher_is_better = true;
  std::string positive;
  std::uint64_t seed = 1;
};
/// Against a fixed score, such as a baseline's.
Comparison compare_with_score(const Yardstick& by, std::span<const PredictedExample> rows, double score);
/// Paired: both models answered the same examples. Throws kInvalidInput if the ids differ.
Comparison compare_paired(const Yardstick& by, std::span<const PredictedExample> first,
                          std::span<const PredictedExample> second);

}  // namespace workflows
