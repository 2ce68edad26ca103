#include "finetune/train/tree_grower.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/core/parallel.h"

namespace finetune {
namespace {

// A division must win something, and a leaf must curve, or rounding would decide.
constexpr double kLeastGain = 1e-7;
constexpr double kLeastCurvature = 1e-3;

}  // namespace

double TreeGrower::work_of_tree() const {
  const auto leaves = static_cast<double>(shape_.leaves);
  const auto rows = static_cast<double>(bins_.rows() * bins_.columns());
  return 1 + rows * std::log2(1 + leaves) + 3 * leaves * static_cast<double>(bins_.first_bin(bins_.columns()));
}

double TreeGrower::worth(const Cell& cell) const {
  return cell.slope * cell.slope / (cell.curvature + shape_.shrinkage);
}

float TreeGrower::value_of(const Cell& cell) const {
  return static_cast<float>(-shape_.learning_rate * cell.slope / (cell.curvature + shape_.shrinkage));
}

TreeGrower::Leaf TreeGrower::leaf_of(std::size_t begin, std::size_t end, std::size_t node) const {
  Leaf leaf{.begin = begin, .end = end, .node = node, .sum = {}, .histogram = {}, .split = {}};
  for (std::size_t i = begin; i < end; ++i) {
    leaf.sum.slope += static_cast<double>(slopes_[order_[i]]);
    leaf.sum.curvature += static_cast<double>(curvature_[order_[i]]);
  }
  leaf.sum.rows = static_cast<std::int64_t>(end - begin);
  return leaf;
}

void TreeGrower::count(Leaf& leaf) {
  leaf.histogram.assign(bins_.first_bin(bins_.columns()), Cell{});
  kernels::parallel_for(context_, bins_.columns(), 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t column = from; column < to; ++column) {
      const std::uint8_t* bins = bins_.bins(column).data();
      Cell* cells = leaf.histogram.data() + bins_.first_bin(column);
      for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
        const std::uint32_t row = order_[i];
        Cell& cell = cells[bins[row]];
        cell.slope += static_cast<double>(slopes_[row]);
        cell.curvature += static_cast<double>(curvature_[row]);
        ++cell.rows;
      }
    }
  });
}

void TreeGrower::take_rest(Leaf& leaf, Histogram parent, const Histogram& other) {
  for (std::size_t i = 0; i < parent.size(); ++i) {
    parent[i].slope -= other[i].slope;
    parent[i].curvature -= other[i].curvature;
    parent[i].rows -= other[i].rows;
  }
  leaf.histogram = std::move(parent);
}

TreeGrower::Split TreeGrower::split_of_column(const Leaf& leaf, std::int64_t column) const {
  Split best;
  const Cell* cells = leaf.histogram.data() + bins_.first_bin(column);
  const double whole = worth(leaf.sum);
  Cell left;
  for (std::size_t bin = 0; bin < bins_.thresholds(column).size(); ++bin) {
    left.slope += cells[bin].slope;
    left.curvature += cells[bin].curvature;
    left.rows += cells[bin].rows;
    const Cell right{leaf.sum.slope - left.slope, leaf.sum.curvature - left.curvature, leaf.sum.rows - left.rows};
    if (left.rows < shape_.rows_in_leaf || left.curvature < kLeastCurvature) continue;
    if (right.rows < shape_.rows_in_leaf || right.curvature < kLeastCurvature) break;
    const double gain = worth(left) + worth(right) - whole;
    if (gain > best.gain) best = {gain, column, bin};
  }
  return best;
}

void TreeGrower::find_split(Leaf& leaf) {
  std::vector<Split> of_columns(static_cast<std::size_t>(bins_.columns()));
  if (leaf.sum.rows >= 2 * shape_.rows_in_leaf) {
    kernels::parallel_for(context_, bins_.columns(), 8, [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t column = from; column < to; ++column)
        of_columns[static_cast<std::size_t>(column)] = split_of_column(leaf, column);
    });
  }
  leaf.split = {};
  for (const Split& split : of_columns) {
    if (split.gain > leaf.split.gain) leaf.split = split;
  }
  if (leaf.split.gain < kLeastGain) leaf.split.gain = 0;
}

std::size_t TreeGrower::divide(const Leaf& leaf) {
  const std::uint8_t* bins = bins_.bins(leaf.split.column).data();
  const auto middle = std::stable_partition(order_.begin() + static_cast<std::ptrdiff_t>(leaf.begin),
                                            order_.begin() + static_cast<std::ptrdiff_t>(leaf.end),
                                            [&](std::uint32_t row) { return bins[row] <= leaf.split.bin; });
  return static_cast<std::size_t>(middle - order_.begin());
}

std::vector<TreeNode> TreeGrower::grow(const std::vector<float>& slopes, const std::vector<float>& curvature,
                                       std::vector<float>& answers) {
  slopes_ = slopes.data();
  curvature_ = curvature.data();
  order_.resize(slopes.size());
  std::iota(order_.begin(), order_.end(), 0U);
  std::vector<TreeNode> nodes(1);
  std::vector<Leaf> leaves;
  leaves.push_back(leaf_of(0, order_.size(), 0));
  count(leaves.front());
  find_split(leaves.front());
  while (static_cast<std::int64_t>(leaves.size()) < shape_.leaves) {
    const auto next = std::max_element(leaves.begin(), leaves.end(),
                                       [](const Leaf& a, const Leaf& b) { return a.split.gain < b.split.gain; });
    if (next->split.gain <= 0) break;
    Leaf parent = std::move(*next);
    const std::size_t middle = divide(parent), left = nodes.size(), right = left + 1;
    nodes[parent.node] = {bins_.place(parent.split.column), bins_.thresholds(parent.split.column)[parent.split.bin],
                          static_cast<std::int32_t>(left), static_cast<std::int32_t>(right), 0};
    nodes.resize(nodes.size() + 2);
    Leaf first = leaf_of(parent.begin, middle, left), second = leaf_of(middle, parent.end, right);
    Leaf& smaller = first.sum.rows <= second.sum.rows ? first : second;
    Leaf& larger = &smaller == &first ? second : first;
    if (larger.sum.rows >= 2 * shape_.rows_in_leaf) {
      count(smaller);
      take_rest(larger, std::move(parent.histogram), smaller.histogram);
      find_split(smaller);
      find_split(larger);
    }
    *next = std::move(first);
    leaves.push_back(std::move(second));
  }
  for (const Leaf& leaf : leaves) {
    nodes[leaf.node].value = value_of(leaf.sum);
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) answers[order_[i]] = nodes[leaf.node].value;
  }
  return nodes;
}

}  // namespace finetune
