// SideTrees: regression trees beside the base, whose sum is added to the head's outputs as a SideNetwork's answer is
// (gradient boosting: Friedman 2001). They read an example's fields, the dense row of side_features.h, and tell what
// lies beyond a threshold exactly, where a network would round the corner. Fitted by train/tree_fit.h. Plain value.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "finetune/adapter/side_features.h"
#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace finetune {

struct TreeNode {
  std::int32_t column = -1;          // of the dense row; -1 in a leaf
  float threshold = 0;               // a value <= threshold goes left
  std::int32_t left = 0, right = 0;  // places in the tree, behind this node
  float value = 0;                   // of a leaf
};

/// One tree speaks of one output; its first node is the root.
struct SideTree {
  std::int32_t output = 0;
  std::vector<TreeNode> nodes;

  float answer(std::span<const float> row) const;
};

struct SideTrees {
  std::vector<float> start;  // [K], what every example gets; empty: there are no trees
  std::vector<SideTree> trees;

  bool empty() const { return start.empty(); }
  /// Adds what the trees say of each example to outputs [B, K].
  void add_to(kernels::Context& context, std::span<const SideInput* const> inputs, kernels::Tensor& outputs) const;
  /// Multiplies every answer.
  void scale(float factor);
};

/// Every tree in seven flat tensors, by names that begin with "side.trees."; none for no trees.
std::map<std::string, kernels::Tensor> to_tensors(const SideTrees& trees);
/// Names of to_tensors().
const std::vector<std::string>& tree_tensor_names();
/// Trees over rows of `columns` for `outputs`. Throws kCorrupt naming the tensor where they point outside of rows,
/// outputs or themselves, so that a walk from a root always ends in a leaf.
SideTrees trees_from_tensors(const std::map<std::string, kernels::Tensor>& tensors, std::int64_t columns,
                             std::int64_t outputs);

}  // namespace finetune
