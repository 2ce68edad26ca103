// Scores of classes: from the table of truths against predictions, or from one class's scores. Pure functions; any
// thread. A score that has nothing to divide by (no positives, one class only) is 0 unless its comment says otherwise.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace finetune {

/// How often each class was taken for each. The classes are those of truth and prediction together, ascending.
struct Confusion {
  std::vector<std::int32_t> classes;
  std::vector<std::vector<double>> counts;  // [truth][prediction]
  std::vector<double> truths, predictions;  // sums of rows and columns
  double total = 0, hits = 0;
};

/// Both spans have the same length.
Confusion confusion_of(std::span<const std::int32_t> truth, std::span<const std::int32_t> predicted);

double accuracy(const Confusion& confusion);
/// Mean recall of the classes that occur as truth.
double balanced_accuracy(const Confusion& confusion);
/// Mean over all classes of 2 hits / (truths + predictions): one that is only ever predicted counts as 0.
double macro_f1(const Confusion& confusion);
/// F1 of all decisions together; with one label an example it is the accuracy.
double micro_f1(const Confusion& confusion);
/// Mean of the classes' F1 weighted by their truths.
double weighted_f1(const Confusion& confusion);
/// Agreement beyond chance: (observed - expected) / (1 - expected); 1 where chance agrees always.
double cohen_kappa(const Confusion& confusion);
/// 1 - observed / expected squared distance of the classes' values, one for each of `classes`; 1 where none is
/// expected.
double quadratic_kappa(const Confusion& confusion, std::span<const double> values);
/// Correlation of truth and prediction (Matthews), for any number of classes.
double matthews(const Confusion& confusion);

/// One example as a ranking sees it.
struct Ranked {
  double score = 0;  // of the positive class; a probability where a function says so
  bool positive = false;
};

/// Sum over thresholds of precision x rise in recall; equal scores are one threshold, nothing is interpolated.
double average_precision(std::span<const Ranked> ranked);
/// Chance that a positive stands above a negative, ties counting one half; 0.5 where either is missing.
double auroc(std::span<const Ranked> ranked);
/// Mean squared distance of the probability from 0 or 1.
double brier(std::span<const Ranked> ranked);
/// Mean distance, over ten bins [i/10, (i+1)/10) with 1 in the last, of the mean probability from the share of
/// positives, weighted by the bin's examples.
double calibration_error(std::span<const Ranked> ranked);
/// Mean -log p of what happened, probabilities kept within [1e-6, 1 - 1e-6].
double log_loss(std::span<const Ranked> ranked);

}  // namespace finetune
