// What stands beside the base, fitted and weighed: a SideNetwork, where there is wording a linear model of it
// (linear_fit.h), SideTrees, or a mixture. Each is fitted to the training part alone; the validation part says how long
// to fit and how much each counts. Networks are better where what counts is a sum of many small things, linear models
// where few texts have many words, trees where it lies beyond a threshold; a table's owner need not know. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "finetune/adapter/side_network.h"
#include "finetune/adapter/side_trees.h"
#include "finetune/train/side_scale.h"
#include "platform/base/json.h"

namespace finetune {

/// What a fit to the training part has found to be best.
struct SideChoice {
  double network_share = 0;   // of a fit's steps
  double network_factor = 1;  // of its outputs; 0 where the trees alone are best
  std::int64_t tree_rounds = 0;
  double tree_factor = 0;      // 0 where the rest alone is best
  double linear_strength = 0;  // of the linear model, which becomes a part of the network
  double linear_factor = 0;    // 0 where the rest alone is best
};
platform::json::object to_json(const SideChoice& choice);
/// Throws kInvalidInput naming the field that is missing or no number.
SideChoice side_choice_from_json(const platform::json::value& value);

struct SideFitting {
  const HeadTarget& target;
  const ExamplePointers& train;
  const ExamplePointers& validation;
  const kernels::Tensor* class_weights = nullptr;  // [K] or null
  std::vector<std::int32_t> tree_columns;          // that trees may ask; none: no trees
  std::int64_t tree_rounds = 100;                  // at most
  std::uint64_t seed = 1;
};

/// Fits both to fitting.train and scales them to the validation part, no surer than it allows (train/side_scale.h).
/// Without a validation part there is nothing to choose by, and the network
/// stands alone. A wish to stop leaves with kCancelled and both as they were.
SideChoice fit_side(kernels::Context& context, SideNetwork& network, SideTrees& trees, const SideFitting& fitting,
                    const std::function<bool()>& should_stop);
/// Fits both, a fresh network and no trees, to fitting.train as a first fit has found to be best.
void refit_side(kernels::Context& context, SideNetwork& network, SideTrees& trees, const SideFitting& fitting,
                const SideChoice& choice, const std::function<bool()>& should_stop);

}  // namespace finetune
