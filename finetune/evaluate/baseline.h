// The plain models that stand beside every score: what is usual whatever is asked (the majority class, each label's
// share, the mean, or the last value of a forecast's signal), a linear model (linear_baseline.h) and the nearest
// training examples (nearest.h). One thread; deterministic.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "finetune/evaluate/metrics.h"
#include "platform/dataset/example.h"

namespace finetune {

struct Baseline {
  std::string name;  // "last", "linear", "majority", "mean", "nearest"
  std::vector<Outcome> outcomes;
  std::size_t examples = 0;  // that it learned from or looked through
};

struct BaselineRequest {
  Task task = Task::kClassify;
  std::vector<std::string> labels = {};  // of the tasks that have them
  std::string continues = {};            // forecast: the signal that goes on
  std::uint64_t seed = 1;
  std::function<bool()> should_stop = {};  // asked all the while; true: leave with Error kCancelled
};

/// Outcomes on `test` of each baseline after learning from `train`. None for lm, and none where no training example has
/// a target. Throws kInvalidInput naming a test example without a value.
///
/// majority: the share that each label has in the training part; of several labels that may apply, those of one half
/// and more. mean: the mean value; of a forecast the mean step from the last sample. last: of a forecast, the last
/// sample again and again. nearest: with labels the votes of the nearest examples and one vote of the whole training
/// part, shared out as its labels are; with numbers their mean. linear is left out where it would be too large.
std::vector<Baseline> baseline_outcomes(const BaselineRequest& request,
                                        const std::vector<const platform::Example*>& train,
                                        const std::vector<const platform::Example*>& test);

}  // namespace finetune
