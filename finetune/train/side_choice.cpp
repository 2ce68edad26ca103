#include "finetune/train/side_choice.h"

#include <cmath>
#include <limits>

#include "finetune/train/side_fit.h"
#include "finetune/train/tree_fit.h"
#include "kernels/ops/elementwise.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

// Shares of the trees that are tried, in quarters: finer ones would fit the validation part's noise.
constexpr int kShares = 4;

Tensor zeros_for(const SideFitting& fitting) {
  return Tensor::zeros({static_cast<std::int64_t>(fitting.validation.size()), output_count(fitting.target)});
}

struct Mixture {
  double loss = std::numeric_limits<double>::infinity(), network = 1, trees = 0;  // factors
};

Mixture best_mixture(Context& context, const SideFitting& fitting, const Tensor& of_network, const Tensor& of_trees) {
  Mixture best;
  for (int quarter = 0; quarter <= kShares; ++quarter) {
    const double share = static_cast<double>(quarter) / kShares;
    Tensor mixed = zeros_for(fitting);
    // What has no share must not spoil the rest where it is no number.
    if (share < 1) kernels::add(context, of_network, mixed, static_cast<float>(1 - share));
    if (share > 0) kernels::add(context, of_trees, mixed, static_cast<float>(share));
    const ScaledLoss scaled = best_scale(context, fitting.target, fitting.validation, mixed, fitting.class_weights);
    if (scaled.loss < best.loss) best = {scaled.loss, (1 - share) * scaled.factor, share * scaled.factor};
  }
  return best;
}

void put_to_scale(Context& context, SideNetwork& network, SideTrees& trees, double network_factor, double tree_factor) {
  network.scale_outputs(context, static_cast<float>(network_factor));
  trees.scale(static_cast<float>(tree_factor));
  if (tree_factor == 0) trees = {};
}

}  // namespace

SideChoice fit_side(Context& context, SideNetwork& network, SideTrees& trees, const SideFitting& fitting,
                    const std::function<bool()>& should_stop) {
  TreeFit grown;
  if (!fitting.validation.empty()) {
    grown = fit_side_trees(context, fitting.target, fitting.tree_columns, fitting.train, fitting.validation,
                           fitting.class_weights, {.rounds = fitting.tree_rounds}, should_stop);
  }
  const SideFit fit = fit_side_network(context, network, fitting.target, fitting.train, fitting.validation,
                                       fitting.class_weights, {.seed = fitting.seed}, should_stop);
  SideChoice choice{.network_share = static_cast<double>(fit.best_step) / static_cast<double>(fit.steps),
                    .network_factor = fit.factor};
  if (grown.rounds == 0) return choice;
  Tensor of_network = zeros_for(fitting), of_trees = zeros_for(fitting);
  add_side_outputs(context, network, fitting.validation, of_network);
  grown.trees.add_to(context, inputs_of(fitting.validation), of_trees);
  const Mixture mixture = best_mixture(context, fitting, of_network, of_trees);
  choice.network_factor *= mixture.network;
  choice.tree_rounds = grown.rounds;
  choice.tree_factor = mixture.trees;
  trees = std::move(grown.trees);
  put_to_scale(context, network, trees, mixture.network, mixture.trees);
  return choice;
}

void refit_side(Context& context, SideNetwork& network, SideTrees& trees, const SideFitting& fitting,
                const SideChoice& choice, const std::function<bool()>& should_stop) {
  if (choice.tree_factor > 0) {
    trees = fit_side_trees(context, fitting.target, fitting.tree_columns, fitting.train, {}, fitting.class_weights,
                           {.rounds = choice.tree_rounds}, should_stop)
                .trees;
  }
  if (choice.network_factor != 0) {
    fit_side_network(context, network, fitting.target, fitting.train, {}, fitting.class_weights,
                     {.stop_at = choice.network_share, .seed = fitting.seed}, should_stop);
  }
  put_to_scale(context, network, trees, choice.network_factor, choice.tree_factor);
}

}  // namespace finetune
