// Limited-memory BFGS (Nocedal 1980; Liu and Nocedal 1989): finds the lowest point of a smooth convex function from its
// values and gradients alone, without a learning rate. Steps halve until they bring a share of what the slope promises
// (Armijo 1966). One thread; the same function gives the same point.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace finetune {

struct LbfgsOptions {
  std::int64_t iterations = 60;
  std::size_t history = 6;  // pairs of steps and slopes that are remembered, each as large as the point
  double tolerance = 1e-4;  // done where no element of the gradient is larger
};

/// Fills `gradient` and returns the value at `point`.
using LbfgsFunction = std::function<double(std::span<const float> point, std::span<float> gradient)>;

/// Moves `point` to the lowest place that it finds; returns the value there. What `function` throws leaves it.
double minimise(const LbfgsFunction& function, std::vector<float>& point, const LbfgsOptions& options = {});

}  // namespace finetune
