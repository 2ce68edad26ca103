// TreeGrower: grows one regression tree after another over the same bins: always the leaf whose division wins most is
// divided next. Histograms of the smaller half are counted, those of the other are what is left of their parent's.
// Belongs to one thread; uses the context's threads over columns.
#pragma once

#include <cstdint>
#include <vector>

#include "finetune/adapter/side_trees.h"
#include "finetune/train/tree_bins.h"

namespace finetune {

struct TreeShape {
  std::int64_t leaves = 31;        // at most
  std::int64_t rows_in_leaf = 20;  // at least
  double learning_rate = 0.1;
  double shrinkage = 1.0;  // of a leaf's value: -learning_rate * slope / (curvature + shrinkage)
};

class TreeGrower {
 public:
  /// `bins` must outlive it.
  TreeGrower(kernels::Context& context, const TreeBins& bins, const TreeShape& shape)
      : context_(context), bins_(bins), shape_(shape) {}

  /// `slopes`, `curvature`: of every row's loss by the output that the tree speaks of. `answers`: gets what the tree
  /// says of each row.
  std::vector<TreeNode> grow(const std::vector<float>& slopes, const std::vector<float>& curvature,
                             std::vector<float>& answers);

  /// Rows and bins that growing a tree visits, about.
  double work_of_tree() const;

 private:
  struct Cell {
    double slope = 0, curvature = 0;
    std::int64_t rows = 0;
  };
  using Histogram = std::vector<Cell>;  // of the bins of every column
  struct Split {
    double gain = 0;
    std::int64_t column = 0;
    std::size_t bin = 0;  // the last that goes left
  };
  struct Leaf {
    std::size_t begin = 0, end = 0;  // in order_
    std::size_t node = 0;
    Cell sum;
    Histogram histogram;
    Split split;
  };

  Leaf leaf_of(std::size_t begin, std::size_t end, std::size_t node) const;
  void count(Leaf& leaf);
  void take_rest(Leaf& leaf, Histogram parent, const Histogram& other);
  void find_split(Leaf& leaf);
  Split split_of_column(const Leaf& leaf, std::int64_t column) const;
  double worth(const Cell& cell) const;
  std::size_t divide(const Leaf& leaf);
  float value_of(const Cell& cell) const;

  kernels::Context& context_;
  const TreeBins& bins_;
  TreeShape shape_;
  const float* slopes_ = nullptr;
  const float* curvature_ = nullptr;
  std::vector<std::uint32_t> order_;
};

}  // namespace finetune
