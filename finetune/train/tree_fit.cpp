#include "finetune/train/tree_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "finetune/train/tree_bins.h"
#include "finetune/train/tree_grower.h"
#include "kernels/ops/elementwise.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

// Newton's steps to the start of sigmoids and numbers; each is far below rounding by then.
constexpr int kStartSteps = 20;
// A label that the training part hardly knows is unlikely, not impossible.
constexpr double kLeastShare = 1e-4;
constexpr std::int64_t kSmallestLeaf = 3;
// A round grows a tree for each: of more outputs it would take minutes.
constexpr std::int64_t kMostOutputs = 64;
// What a round keeps of every example for every output, in values.
constexpr std::int64_t kMostValues = std::int64_t{1} << 25;
// Cells and rows that are visited in a whole fit: about half a minute.
constexpr double kMostWork = 2e10;

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
    weight_scale_ = static_cast<float>(1 / usual_weight());
    const std::int64_t rounds = std::min(options_.rounds, affordable_rounds());
    set_start();
    std::optional<TreeFit> best;
    std::int64_t without_gain = 0;
    for (std::int64_t round = 1; round <= rounds && without_gain < options_.looks_without_gain; ++round) {
      if (!one_round()) break;
      made_.rounds = round;
      if (validation_.empty() || (round % options_.between_looks != 0 && round != rounds)) continue;
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

  // Per example of usual weight, so that the limits of a leaf mean the same whatever the weights are.
  double usual_weight() const {
    double total = 0;
    for (const EncodedExample* example : train_) total += loss_weight(target_, *example, class_weights_);
    const auto values = static_cast<double>(target_.task == Task::kClassify ? 1 : output_count(target_));
    return total > 0 ? total / (values * static_cast<double>(train_.size())) : 1;
  }

  // A softmax moves all its outputs at once: with K labels each curves K / (K - 1) times as much as alone (Friedman).
  double curvature_factor() const {
    if (target_.task != Task::kClassify || target_.labels < 2) return 1;
    return static_cast<double>(target_.labels) / static_cast<double>(target_.labels - 1);
  }

  std::int64_t affordable_rounds() const {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(kMostWork / (static_cast<double>(output_count(target_)) *
                                                                            grower_.work_of_tree())));
  }

  void take_slopes() {
    slopes_.resize(outputs_.shape());
    head_loss(context_, target_, train_, outputs_, class_weights_, weight_scale_, &slopes_);
    curvature_ = head_curvature(target_, train_, outputs_, class_weights_);
    kernels::scale(context_, curvature_, weight_scale_ * static_cast<float>(curvature_factor()));
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

  // What suits all examples alike best.
  void set_start() {
    made_.trees.start.assign(static_cast<std::size_t>(output_count(target_)), 0.0f);
    if (target_.task == Task::kClassify) return move_start(log_shares());
    if (!target_.form.quantiles.empty()) return move_start(quantiles_of_values());
    for (int step = 0; step < kStartSteps; ++step) {
      take_slopes();
      std::vector<double> moves;
      for (std::int64_t k = 0; k < output_count(target_); ++k) {
        const std::vector<float> g = column(slopes_, k), h = column(curvature_, k);
        const double slope = std::accumulate(g.begin(), g.end(), 0.0), curve = std::accumulate(h.begin(), h.end(), 0.0);
        moves.push_back(-slope / (curve + options_.shrinkage));
      }
      move_start(moves);
    }
  }

  void move_start(const std::vector<double>& moves) {
    for (std::size_t k = 0; k < moves.size(); ++k) {
      const auto value = static_cast<float>(moves[k]);
      made_.trees.start[k] += value;
      add(outputs_, static_cast<std::int64_t>(k), value);
      add(seen_, static_cast<std::int64_t>(k), value);
    }
  }

  std::vector<double> log_shares() const {
    std::vector<double> shares(static_cast<std::size_t>(target_.labels), 0);
    double total = 0;
    for (const EncodedExample* example : train_) {
      if (example->label < 0) continue;
      const double weight = loss_weight(target_, *example, class_weights_);
      shares[static_cast<std::size_t>(example->label)] += weight;
      total += weight;
    }
    for (double& share : shares) share = total > 0 ? std::log(std::max(kLeastShare, share / total)) : 0;
    return shares;
  }

  std::vector<double> quantiles_of_values() const {
    std::vector<double> values, starts;
    for (const EncodedExample* example : train_) {
      if (std::isfinite(example->value)) values.push_back((example->value - target_.mean) / target_.deviation);
    }
    std::sort(values.begin(), values.end());
    for (const double quantile : target_.form.quantiles) {
      const auto last = static_cast<double>(values.size()) - 1;
      starts.push_back(values.empty() ? 0 : values[static_cast<std::size_t>(std::llround(quantile * last))]);
    }
    return starts;
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
  float weight_scale_ = 1;
  TreeBins bins_;
  TreeGrower grower_;
  TreeFit made_;
};

}  // namespace

TreeFit fit_side_trees(Context& context, const HeadTarget& target, const std::vector<std::int32_t>& columns,
                       const ExamplePointers& train, const ExamplePointers& validation, const Tensor* class_weights,
                       const TreeFitOptions& options, const std::function<bool()>& should_stop) {
  if (columns.empty() || train.empty() || options.rounds == 0 || output_count(target) > kMostOutputs) return {};
  if (static_cast<std::int64_t>(train.size() + validation.size()) * output_count(target) > kMostValues) return {};
  return Boosting(context, target, columns, train, validation, class_weights, options).run(should_stop);
}

}  // namespace finetune
