// HeadForm: what a head's outputs mean beyond its task. Plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace finetune {

/// Steps of the longest forecast.
inline constexpr std::int64_t kLongestHorizon = 4096;

struct HeadForm {
  double huber_delta = 0;         // regress, forecast: in deviations; 0 = squared error
  std::vector<double> quantiles;  // regress: rising; empty = the mean
  std::string continues;          // forecast: the signal whose last value an output is added to
  std::int64_t horizon = 1;       // forecast: steps
};

}  // namespace finetune
