// The plain models that stand beside every score: majority class or mean, and a linear model on standardised numbers,
// one-hot categories, standardised samples and hashed words of the prompt. One thread; deterministic.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "finetune/evaluate/metrics.h"
#include "platform/dataset/example.h"

namespace finetune {

/// Outcomes on `test` of each baseline after learning from `train`: {"majority" or "mean", ...}, {"linear", ...}. None
/// for lm, and none where no training example has a known label or a value. Throws kInvalidInput naming a test example
/// without a value.
std::vector<std::pair<std::string, std::vector<Outcome>>> baseline_outcomes(
    Task task, const std::vector<std::string>& labels, const std::vector<const platform::Example*>& train,
    const std::vector<const platform::Example*>& test, std::uint64_t seed);

}  // namespace finetune
