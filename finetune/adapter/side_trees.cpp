#include "finetune/adapter/side_trees.h"

#include <cmath>

#include "kernels/core/parallel.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

constexpr const char* kStart = "side.trees.start";
constexpr const char* kOutputs = "side.trees.outputs";    // of each tree
constexpr const char* kLengths = "side.trees.lengths";    // of each tree, in nodes
constexpr const char* kColumns = "side.trees.columns";    // of each node, as all that follow
constexpr const char* kChildren = "side.trees.children";  // left, right
constexpr const char* kThresholds = "side.trees.thresholds";
constexpr const char* kValues = "side.trees.values";

void check(bool good, const char* name, const std::string& fault) {
  if (!good) throw Error(ErrorCode::kCorrupt, std::string(name) + " of the adapter's trees " + fault);
}

const Tensor& tensor_of(const std::map<std::string, Tensor>& tensors, const char* name, kernels::DataType type) {
  const auto found = tensors.find(name);
  check(found != tensors.end(), name, "is missing");
  check(found->second.type() == type, name, "has another type than it is written with");
  return found->second;
}

std::span<const std::int32_t> whole_numbers(const std::map<std::string, Tensor>& tensors, const char* name) {
  return tensor_of(tensors, name, kernels::DataType::kInt32).values<std::int32_t>();
}

std::span<const float> numbers(const std::map<std::string, Tensor>& tensors, const char* name) {
  const std::span<const float> values = tensor_of(tensors, name, kernels::DataType::kFloat32).values<float>();
  for (const float value : values) check(std::isfinite(value), name, "holds a number that is not finite");
  return values;
}

// A child stands behind its parent, so that a walk ends.
void check_node(const TreeNode& node, std::size_t place, std::size_t length, std::int64_t columns) {
  check(node.column >= -1 && node.column < columns, kColumns, "points outside of an example's row");
  if (node.column < 0) return;
  for (const std::int32_t child : {node.left, node.right}) {
    const bool behind =
        child > 0 && static_cast<std::size_t>(child) > place && static_cast<std::size_t>(child) < length;
    check(behind, kChildren, "points to a node that does not follow in its tree");
  }
}

}  // namespace

float SideTree::answer(std::span<const float> row) const {
  const TreeNode* node = nodes.data();
  while (node->column >= 0)
    node = &nodes[static_cast<std::size_t>(
        row[static_cast<std::size_t>(node->column)] <= node->threshold ? node->left : node->right)];
  return node->value;
}

void SideTrees::add_to(kernels::Context& context, std::span<const SideInput* const> inputs, Tensor& outputs) const {
  if (empty()) return;
  constexpr std::int64_t kExamplesAtOnce = 16;
  const auto width = static_cast<std::int64_t>(start.size());
  float* all = outputs.data<float>();
  kernels::parallel_for(context, static_cast<std::int64_t>(inputs.size()), kExamplesAtOnce,
                        [&](std::int64_t begin, std::int64_t end) {
                          for (std::int64_t row = begin; row < end; ++row) {
                            const std::vector<float>& dense = inputs[static_cast<std::size_t>(row)]->dense;
                            float* output = all + row * width;
                            for (std::int64_t k = 0; k < width; ++k) output[k] += start[static_cast<std::size_t>(k)];
                            for (const SideTree& tree : trees) output[tree.output] += tree.answer(dense);
                          }
                        });
}

void SideTrees::scale(float factor) {
  for (float& value : start) value *= factor;
  for (SideTree& tree : trees) {
    for (TreeNode& node : tree.nodes) node.value *= factor;
  }
}

std::map<std::string, Tensor> to_tensors(const SideTrees& trees) {
  std::map<std::string, Tensor> tensors;
  if (trees.empty()) return tensors;
  std::vector<std::int32_t> outputs, lengths, columns, children;
  std::vector<float> thresholds, values;
  for (const SideTree& tree : trees.trees) {
    outputs.push_back(tree.output);
    lengths.push_back(static_cast<std::int32_t>(tree.nodes.size()));
    for (const TreeNode& node : tree.nodes) {
      columns.push_back(node.column);
      children.push_back(node.left);
      children.push_back(node.right);
      thresholds.push_back(node.threshold);
      values.push_back(node.value);
    }
  }
  tensors.emplace(kStart, Tensor::from(trees.start));
  tensors.emplace(kOutputs, Tensor::from(outputs));
  tensors.emplace(kLengths, Tensor::from(lengths));
  tensors.emplace(kColumns, Tensor::from(columns));
  tensors.emplace(kChildren, Tensor::from(children, {static_cast<std::int64_t>(columns.size()), 2}));
  tensors.emplace(kThresholds, Tensor::from(thresholds));
  tensors.emplace(kValues, Tensor::from(values));
  return tensors;
}

const std::vector<std::string>& tree_tensor_names() {
  static const std::vector<std::string> names{kStart, kOutputs, kLengths, kColumns, kChildren, kThresholds, kValues};
  return names;
}

SideTrees trees_from_tensors(const std::map<std::string, Tensor>& tensors, std::int64_t columns, std::int64_t outputs) {
  SideTrees made;
  const auto start = numbers(tensors, kStart), thresholds = numbers(tensors, kThresholds),
             values = numbers(tensors, kValues);
  const auto of_output = whole_numbers(tensors, kOutputs), lengths = whole_numbers(tensors, kLengths),
             read = whole_numbers(tensors, kColumns), children = whole_numbers(tensors, kChildren);
  check(static_cast<std::int64_t>(start.size()) == outputs, kStart, "is for another number of outputs");
  check(lengths.size() == of_output.size(), kLengths, "names another number of trees than " + std::string(kOutputs));
  const std::size_t nodes = read.size();
  check(thresholds.size() == nodes && values.size() == nodes && children.size() == 2 * nodes, kColumns,
        "names another number of nodes than its neighbours");
  made.start.assign(start.begin(), start.end());
  std::size_t at = 0;
  for (std::size_t tree = 0; tree < lengths.size(); ++tree) {
    check(lengths[tree] > 0 && static_cast<std::size_t>(lengths[tree]) <= nodes - at, kLengths,
          "does not add up to the nodes there are");
    check(of_output[tree] >= 0 && of_output[tree] < outputs, kOutputs, "names an output that there is not");
    SideTree& made_tree = made.trees.emplace_back(SideTree{.output = of_output[tree], .nodes = {}});
    const auto length = static_cast<std::size_t>(lengths[tree]);
    for (std::size_t place = 0; place < length; ++place, ++at) {
      made_tree.nodes.push_back({read[at], thresholds[at], children[2 * at], children[2 * at + 1], values[at]});
      check_node(made_tree.nodes.back(), place, length, columns);
    }
  }
  check(at == nodes, kLengths, "does not add up to the nodes there are");
  return made;
}

}  // namespace finetune
