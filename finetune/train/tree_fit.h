// Fits SideTrees to the training part: Newton boosting (Friedman, Hastie and Tibshirani 2000) of trees that are grown
// leaf by leaf over histograms of at most 256 values a column (Ke et al. 2017), and looks at the validation part that
// say how many rounds were good. A round is one tree an output. The same data give the same trees, whatever the number
// of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "finetune/adapter/side_trees.h"
#include "finetune/train/side_scale.h"

namespace finetune {

struct TreeFitOptions {
  std::int64_t rounds = 100;           // at most; without a validation part exactly
  std::int64_t leaves = 31;            // of a tree, at most
  std::int64_t examples_in_leaf = 20;  // at least; of a small training part a fortieth, but never under 3
  double learning_rate = 0.1;
  double shrinkage = 1.0;               // L2, beside the curvature in a leaf
  std::int64_t between_looks = 5;       // rounds
  std::int64_t looks_without_gain = 5;  // then it ends
};

struct TreeFit {
  SideTrees trees;
  std::int64_t rounds = 0;  // 0: nothing to learn from, and no trees
  double loss = 0;          // mean over the validation part, scaled; over nothing: 0
};

/// `columns`: of the dense rows, those that a tree may ask; without any, for more than 64 outputs, or for more values
/// than fit there are no trees, and of a large table fewer rounds than asked for, so that a fit takes half a minute or
/// so. `should_stop` is asked once a tree; true leaves with kCancelled.
TreeFit fit_side_trees(kernels::Context& context, const HeadTarget& target, const std::vector<std::int32_t>& columns,
                       const ExamplePointers& train, const ExamplePointers& validation,
                       const kernels::Tensor* class_weights, const TreeFitOptions& options,
                       const std::function<bool()>& should_stop);

}  // namespace finetune
