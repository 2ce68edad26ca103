#include "finetune/train/tree_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "finetune/train/tree_bins.h"
#include "finetune/train/tree_grower.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

// A step along the gradient of all examples alike, until it is none.
constexpr int kStartSteps = 20;
constexpr std::int64_t kSmallestLeaf = 3;
// A round grows a tree for each: of more outputs it would take minutes.
constexpr std::int64_t kMostOutputs = 64;

std::vector<const SideInput*> inputs_of(const ExamplePointers& examples) {
  std::vector<const SideInput*> inputs;
  for (const EncodedExample* example : examples) inputs.push_back(&example->side);
  return inputs;
}

class Boosting {
 public:
  Boosting(Context& context, const HeadTarget& target, const std::vector<std::int32_t>& columns,
           const ExamplePointers& train, const ExamplePointers& validation, const Tensor* class_weights,
           const TreeFitOptions& options)
      : context_(context),
        target_(target),
        train_(train),
        validation_(validation),
        class_weights_(class_weights),
        options_(options),
        outputs_(Tensor::zeros({count_of(train), output_count(target)})),
        seen_(Tensor::zeros({count_of(validation), output_count(target)})),
        bins_(context, inputs_of(train), columns),
        grower_(context, bins_,
                {.leaves = options.leaves,
                 .rows_in_leaf = std::clamp(count_of(train) / 40, kSmallestLeaf, options.examples_in_leaf),
                 .learning_rate = options.learning_rate,
                 .shrinkage = options.shrinkage}) {}

  TreeFit run(const std::function<bool()>& should_stop) {
    should_stop_ = should_stop;
    set_start();
    std::optional<TreeFit> best;
    std::int64_t without_gain = 0;
    for (std::int64_t round = 1; round <= options_.rounds && without_gain < options_.looks_without_gain; ++round) {
      if (!one_round()) break;
      made_.rounds = round;
      if (validation_.empty() || (round % options_.between_looks != 0 && round != options_.rounds)) continue;
      const double loss = best_scale(context_, target_, validation_, seen_, class_weights_).loss;
      if (best && !(loss < best->loss)) {
        ++without_gain;
        continue;
      }
      without_gain = 0;
      best = TreeFit{.trees = {}, .rounds = round, .loss = loss};
    }
    if (best) {
      made_.rounds = best->rounds;
      made_.loss = best->loss;
      made_.trees.trees.resize(static_cast<std::size_t>(best->rounds * output_count(target_)));
    }
    if (made_.rounds == 0) made_.trees = {};
    return std::move(made_);
  }

 private:
  static std::int64_t count_of(const ExamplePointers& examples) { return static_cast<std::int64_t>(examples.size()); }

  void take_slopes() {
    slopes_.resize(outputs_.shape());
    head_loss(context_, target_, train_, outputs_, class_weights_, 1.0f, &slopes_);
    curvature_ = head_curvature(target_, train_, outputs_, class_weights_);
  }

  std::vector<float> column(const Tensor& of, std::int64_t output) const {
    std::vector<float> values(train_.size());
    for (std::size_t row = 0; row < values.size(); ++row)
      values[row] = of.data<float>()[static_cast<std::int64_t>(row) * of.size(1) + output];
    return values;
  }

  static void add(Tensor& outputs, std::int64_t output, float value) {
    for (std::int64_t row = 0; row < outputs.size(0); ++row)
      outputs.data<float>()[row * outputs.size(1) + output] += value;
  }

  void set_start() {
    made_.trees.start.assign(static_cast<std::size_t>(output_count(target_)), 0.0f);
    for (int step = 0; step < kStartSteps; ++step) {
      take_slopes();
      for (std::int64_t k = 0; k < output_count(target_); ++k) {
        const std::vector<float> g = column(slopes_, k), h = column(curvature_, k);
        const double slope = std::accumulate(g.begin(), g.end(), 0.0), curve = std::accumulate(h.begin(), h.end(), 0.0);
        const auto value = static_cast<float>(-slope / (curve + options_.shrinkage));
        made_.trees.start[static_cast<std::size_t>(k)] += value;
        add(outputs_, k, value);
        add(seen_, k, value);
      }
    }
  }

  // False where no tree found anything to divide.
  bool one_round() {
    take_slopes();
    bool divided = false;
    for (std::int64_t k = 0; k < output_count(target_); ++k) {
      if (should_stop_ && should_stop_())
        throw platform::Error(platform::ErrorCode::kCancelled, "the fit was asked to stop");
      std::vector<float> answers(train_.size());
      SideTree tree{.output = static_cast<std::int32_t>(k),
                    .nodes = grower_.grow(column(slopes_, k), column(curvature_, k), answers)};
      divided = divided || tree.nodes.size() > 1;
      for (std::size_t row = 0; row < answers.size(); ++row)
        outputs_.data<float>()[static_cast<std::int64_t>(row) * outputs_.size(1) + k] += answers[row];
      for (std::size_t row = 0; row < validation_.size(); ++row)
        seen_.data<float>()[static_cast<std::int64_t>(row) * seen_.size(1) + k] +=
            tree.answer(validation_[row]->side.dense);
      made_.trees.trees.push_back(std::move(tree));
    }
    return divided;
  }

  Context& context_;
  const HeadTarget& target_;
  const ExamplePointers& train_;
  const ExamplePointers& validation_;
  const Tensor* class_weights_;
  const TreeFitOptions& options_;
  std::function<bool()> should_stop_;
  Tensor outputs_, seen_;  // what the trees say of the training part, and of the validation part
  Tensor slopes_, curvature_;
  TreeBins bins_;
  TreeGrower grower_;
  TreeFit made_;
};

}  // namespace

TreeFit fit_side_trees(Context& context, const HeadTarget& target, const std::vector<std::int32_t>& columns,
                       const ExamplePointers& train, const ExamplePointers& validation, const Tensor* class_weights,
                       const TreeFitOptions& options, const std::function<bool()>& should_stop) {
  if (columns.empty() || train.empty() || options.rounds == 0 || output_count(target) > kMostOutputs) return {};
  return Boosting(context, target, columns, train, validation, class_weights, options).run(should_stop);
}

}  // namespace finetune
