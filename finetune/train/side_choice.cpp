#include "finetune/train/side_choice.h"

#include <cmath>
#include <limits>

#include "finetune/train/linear_fit.h"
#include "finetune/train/side_fit.h"
#include "finetune/train/tree_fit.h"
#include "kernels/ops/elementwise.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

// Shares of the second that are tried, in quarters: finer ones would fit the validation part's noise.
constexpr int kShares = 4;

Tensor zeros_for(const SideFitting& fitting) {
  return Tensor::zeros({static_cast<std::int64_t>(fitting.validation.size()), output_count(fitting.target)});
}

struct Mixture {
  double loss = std::numeric_limits<double>::infinity(), first = 1, second = 0;  // factors
};

Mixture best_mixture(Context& context, const SideFitting& fitting, const Tensor& of_first, const Tensor& of_second) {
  Mixture best;
  for (int quarter = 0; quarter <= kShares; ++quarter) {
    const double share = static_cast<double>(quarter) / kShares;
    Tensor mixed = zeros_for(fitting);
    // What has no share must not spoil the rest where it is no number.
    if (share < 1) kernels::add(context, of_first, mixed, static_cast<float>(1 - share));
    if (share > 0) kernels::add(context, of_second, mixed, static_cast<float>(share));
    const ScaledLoss scaled = best_scale(context, fitting.target, fitting.validation, mixed, fitting.class_weights);
    if (scaled.loss < best.loss) best = {scaled.loss, (1 - share) * scaled.factor, share * scaled.factor};
  }
  return best;
}

bool has_linear(const SideNetwork& network) {
  const SideShape& shape = network.shape();
  return shape.ngrams > 0 && (shape.ngrams + shape.dense + 1) * shape.outputs <= kMostLinearWeights;
}

void mix_linear(Context& context, SideNetwork& network, const SideFitting& fitting, SideChoice& choice,
                const std::function<bool()>& should_stop) {
  const LinearFit fit = fit_linear(context, network.shape(), fitting.target, fitting.train, fitting.validation,
                                   fitting.class_weights, {}, should_stop);
  Tensor of_network = zeros_for(fitting), of_linear = zeros_for(fitting);
  add_side_outputs(context, network, fitting.validation, of_network);
  linear_outputs(context, fit.linear, fitting.validation, of_linear);
  const Mixture mixture = best_mixture(context, fitting, of_network, of_linear);
  if (mixture.second == 0) return;
  choice.network_factor *= mixture.first;
  choice.linear_strength = fit.strength;
  choice.linear_factor = mixture.second;
  network.scale_outputs(context, static_cast<float>(mixture.first));
  network.add(context, fit.linear, static_cast<float>(mixture.second));
}

void mix_trees(Context& context, SideNetwork& network, SideTrees& trees, TreeFit grown, const SideFitting& fitting,
               SideChoice& choice) {
  Tensor of_network = zeros_for(fitting), of_trees = zeros_for(fitting);
  add_side_outputs(context, network, fitting.validation, of_network);
  grown.trees.add_to(context, inputs_of(fitting.validation), of_trees);
  const Mixture mixture = best_mixture(context, fitting, of_network, of_trees);
  choice.network_factor *= mixture.first;
  choice.linear_factor *= mixture.first;
  choice.tree_rounds = grown.rounds;
  choice.tree_factor = mixture.second;
  network.scale_outputs(context, static_cast<float>(mixture.first));
  if (mixture.second == 0) return;
  trees = std::move(grown.trees);
  trees.scale(static_cast<float>(mixture.second));
}

// What tells the whole validation part apart would be as sure as a float can be.
void bound_certainty(Context& context, SideNetwork& network, SideTrees& trees, const SideFitting& fitting,
                     SideChoice& choice) {
  if (fitting.validation.empty()) return;
  Tensor outputs = zeros_for(fitting);
  add_side_outputs(context, network, fitting.validation, outputs);
  trees.add_to(context, inputs_of(fitting.validation), outputs);
  const double factor = succession_factor(fitting.target, fitting.validation, outputs);
  if (factor == 1) return;
  network.scale_outputs(context, static_cast<float>(factor));
  choice.network_factor *= factor;
  choice.linear_factor *= factor;
  choice.tree_factor *= factor;
  if (choice.tree_factor > 0) trees.scale(static_cast<float>(factor));
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
  if (has_linear(network) && !fitting.validation.empty()) mix_linear(context, network, fitting, choice, should_stop);
  if (grown.rounds > 0) mix_trees(context, network, trees, std::move(grown), fitting, choice);
  bound_certainty(context, network, trees, fitting, choice);
  return choice;
}

void refit_side(Context& context, SideNetwork& network, SideTrees& trees, const SideFitting& fitting,
                const SideChoice& choice, const std::function<bool()>& should_stop) {
  trees = {};
  if (choice.tree_factor > 0) {
    trees = fit_side_trees(context, fitting.target, fitting.tree_columns, fitting.train, {}, fitting.class_weights,
                           {.rounds = choice.tree_rounds}, should_stop)
                .trees;
    trees.scale(static_cast<float>(choice.tree_factor));
  }
  if (choice.network_factor != 0) {
    fit_side_network(context, network, fitting.target, fitting.train, {}, fitting.class_weights,
                     {.stop_at = choice.network_share, .seed = fitting.seed}, should_stop);
  }
  network.scale_outputs(context, static_cast<float>(choice.network_factor));
  if (choice.linear_factor == 0) return;
  const LinearFit fit = fit_linear(context, network.shape(), fitting.target, fitting.train, {}, fitting.class_weights,
                                   {.strength = choice.linear_strength}, should_stop);
  network.add(context, fit.linear, static_cast<float>(choice.linear_factor));
}

platform::json::object to_json(const SideChoice& choice) {
  return {{"network_share", choice.network_share},     {"network_factor", choice.network_factor},
          {"tree_rounds", choice.tree_rounds},         {"tree_factor", choice.tree_factor},
          {"linear_strength", choice.linear_strength}, {"linear_factor", choice.linear_factor}};
}

SideChoice side_choice_from_json(const platform::json::value& value) {
  const platform::json::object& object = platform::as_object(value, "checkpoint.side_choice");
  const auto number = [&](const char* key) { return platform::require_number(object, key, "checkpoint.side_choice"); };
  return {.network_share = number("network_share"),
          .network_factor = number("network_factor"),
          .tree_rounds = platform::require_int(object, "tree_rounds", "checkpoint.side_choice"),
          .tree_factor = number("tree_factor"),
          .linear_strength = number("linear_strength"),
          .linear_factor = number("linear_factor")};
}

}  // namespace finetune
