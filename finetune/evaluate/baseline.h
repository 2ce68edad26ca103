// The plain models that stand beside every score: majority class or mean, a linear model on standardised numbers,
// one-hot categories, standardised samples and hashed words of the prompt, and the nearest training examples
// (nearest.h). One thread; deterministic.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "finetune/evaluate/metrics.h"
#include "platform/dataset/example.h"

namespace finetune {

struct Baseline {
  std::string name;  // "majority" or "mean", "linear", "nearest"
  std::vector<Outcome> outcomes;
  std::size_t examples = 0;  // that it learned from or looked through
};

/// Outcomes on `test` of each baseline after learning from `train`. "nearest": classify takes the votes of the nearest
/// examples and one vote of the whole training part, shared out as its labels are; regress their mean value. None for
/// lm, and none where no training example has a known label or a value. Throws kInvalidInput naming a test example
/// without a value.
std::vector<Baseline> baseline_outcomes(Task task, const std::vector<std::string>& labels,
                                        const std::vector<const platform::Example*>& train,
                                        const std::vector<const platform::Example*>& test, std::uint64_t seed);

}  // namespace finetune
