// Scores of predictions against the truth, and their bootstrap intervals. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/evaluate/text_metrics.h"
#include "finetune/train/training_job.h"

namespace finetune {

/// Of a pair of answers, by the objective of the training (train/objective.h).
struct Preference {
  double loss = 0;
  double margin = 0;  // above 0: the chosen answer is preferred
};

/// One scored example. classify: truth and prediction are class indices (truth -1: a class training never saw) and
/// `probabilities` has K entries; regress: values; lm: value = sum of -log p over its supervised tokens, weight their
/// count, and where it chose among answers what classify has.
struct Outcome {
  std::int32_t truth = -1;
  std::int32_t prediction = -1;
  std::vector<float> probabilities;
  std::vector<float> marks;         // multilabel: 1 where the label applies; `probabilities` beside it
  std::int32_t unknown_labels = 0;  // multilabel: true ones that no model could tell
  double true_value = 0;
  double predicted_value = 0;
  std::vector<double> true_values;       // forecast: step by step; NaN = not known
  std::vector<double> predicted_values;  // forecast: step by step; regress: one for each of `quantiles`
  std::vector<double> quantiles;         // regress: where the adapter tells them, rising
  double weight = 1;
  std::optional<AnswerScores> answer;    // lm: where the example was asked
  std::optional<Preference> preference;  // lm: where the example is a pair
};

/// The metrics that a task has, the main one first. `labels` decides on average_precision and auroc (two classes) and
/// qwk (all numeric).
std::vector<std::string> metrics_of(Task task, const std::vector<std::string>& labels);
/// What evaluation scores besides these where an adapter tells quantiles: pinball_loss, the mean over examples and
/// quantiles, and coverage, the share of the truths between the lowest and the highest quantile.
const std::vector<std::string>& quantile_metrics();
/// What evaluation scores besides these where a language model was asked for its answers: means over them.
const std::vector<std::string>& answer_metrics();
/// What a language model is scored by on pairs of answers: reward_accuracy, the share of pairs whose chosen answer it
/// prefers, loss and reward_margin (rewards/accuracies and rewards/margins in TRL), each a mean over the pairs.
const std::vector<std::string>& preference_metrics();
/// Of classes: accuracy, balanced_accuracy, macro_f1, micro_f1, weighted_f1, cohen_kappa, matthews, qwk with the
/// labels' numbers, loss, calibration_error (of the class `positive` where there are two, else of the choice). Of the
/// class `positive`: average_precision, auroc, brier. Of numbers: rmse, mae, median_absolute_error, r2, and the
/// quantile_metrics(). Of text: loss,
/// perplexity, the preference_metrics() of pairs, whose loss is the objective's, and the mean of each of AnswerScores
/// over the outcomes that have it. Of several labels: label_macro_f1, label_micro_f1, subset_accuracy, label_loss.
/// Defined in class_metrics.h, label_metrics.h, number_metrics.h and text_metrics.h. Throws kInvalidInput for another
/// name or without outcomes.
double score(std::string_view metric, std::span<const Outcome> outcomes, const std::vector<std::string>& labels,
             std::size_t positive);
/// Whether the outcomes say anything of the metric: not of auroc and average_precision where all are of one class, of
/// loss where no truth is known or no token counts, of errors without a number, of quantiles where none were told.
/// score() gives a number all the same, which means nothing. Throws as score() does.
bool is_defined(std::string_view metric, std::span<const Outcome> outcomes, const std::vector<std::string>& labels,
                std::size_t positive);
/// The class that average_precision takes as positive: the profile's `target.positive`, else the one that stands least
/// often among `truths`, the first of equals. Truths of -1 do not count.
std::size_t positive_class(const platform::json::value& profile, const std::vector<std::string>& labels,
                           std::span<const std::int32_t> truths);
/// Point value and percentile interval from 1,000 resamples of the examples, of which those do not count that say
/// nothing of the metric; the same seed gives the same interval.
Score score_with_interval(std::string_view metric, std::span<const Outcome> outcomes,
                          const std::vector<std::string>& labels, std::size_t positive, double confidence,
                          std::uint64_t seed);

}  // namespace finetune
