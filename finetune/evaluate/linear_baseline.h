// The linear baseline: logistic regression (softmax over labels of which one is true, a sigmoid for each of several) or
// least squares, by AdaGrad over standardised numbers and samples, one-hot categories and hashed words of the prompt.
// One thread; deterministic.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "finetune/evaluate/baseline_target.h"

namespace finetune {

/// Its answer to each example of `test` after 25 passes over `train`, as BaselineTarget::outcome takes it; none where
/// it would need more than 2^25 weights. Throws kCancelled when `should_stop` says so, which is asked all the while.
std::vector<std::vector<double>> linear_answers(const BaselineTarget& target,
                                                const std::vector<const platform::Example*>& train,
                                                const std::vector<const platform::Example*>& test, std::uint64_t seed,
                                                const std::function<bool()>& should_stop);

}  // namespace finetune
