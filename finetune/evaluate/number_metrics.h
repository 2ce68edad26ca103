// Scores of predicted numbers against true ones, which have the same length. Pure functions; any thread. Of no numbers
// every error is 0.
#pragma once

#include <span>

namespace finetune {

/// Square root of the mean squared error.
double root_mean_square_error(std::span<const double> truth, std::span<const double> predicted);
double mean_absolute_error(std::span<const double> truth, std::span<const double> predicted);
double median_absolute_error(std::span<const double> truth, std::span<const double> predicted);
/// 1 - squared error / squared distance of the truth from its mean; of a constant truth 1 if met exactly, else 0.
double explained_share(std::span<const double> truth, std::span<const double> predicted);
/// Mean of max(q (truth - predicted), (q - 1) (truth - predicted)): the loss that a `q`-quantile makes least.
double pinball_loss(std::span<const double> truth, std::span<const double> predicted, double q);
/// Share of the truths that lie between `low` and `high`, both of which count.
double coverage(std::span<const double> truth, std::span<const double> low, std::span<const double> high);

}  // namespace finetune
