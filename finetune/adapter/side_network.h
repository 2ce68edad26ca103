// SideNetwork: a small network beside the base (side-tuning: Zhang et al. 2020) whose output is added to the head's. It
// reads an example's fields and wording directly and is fitted in seconds, before the adapter is trained; what it
// leaves over is what the base has to learn. An ensemble of small networks over the same features, each with two hidden
// layers that the output sees both, and one linear part that all share. The linear part reads every n-gram; the members
// only the most frequent kHiddenNgrams, which keeps an adapter small. Belongs to one thread.
// Letters: B examples, F dense columns, V n-grams, H of them that members read, M members, E width, K outputs.
#pragma once

#include <span>
#include <vector>

#include "finetune/adapter/side_features.h"
#include "finetune/adapter/text_bag.h"
#include "finetune/model/weights.h"
#include "kernels/core/context.h"

namespace finetune {

inline constexpr std::int64_t kHiddenNgrams = 8192;

struct SideShape {
  std::int64_t dense = 0;    // F
  std::int64_t ngrams = 0;   // V
  std::int64_t outputs = 1;  // K
  std::int64_t members = 8;  // M
  std::int64_t width = 64;   // E
};

/// A linear model of the same inputs, by itself.
struct SideLinear {
  kernels::Tensor dense;   // [K, F]
  kernels::Tensor ngrams;  // [V, K]
  kernels::Tensor bias;    // [K]
};

class SideNetwork {
 public:
  /// Random start, each member its own; its output is near 0.
  SideNetwork(const SideShape& shape, kernels::Random& random);

  /// The mean of the members' outputs: [B, K], valid until the next call.
  const kernels::Tensor& forward(kernels::Context& context, std::span<const SideInput* const> inputs);

  /// In training: the outputs of each member, [M * B, K] member by member. `dropout`: of hidden units; `thinning`: of
  /// n-grams, whose rest weighs more; both random by `seed`.
  kernels::Tensor& forward_members(kernels::Context& context, std::span<const SideInput* const> inputs, double dropout,
                                   double thinning, std::uint64_t seed);
  /// After forward_members with the same inputs. doutput: [M * B, K]. Gradients accumulate.
  void backward(kernels::Context& context, const kernels::Tensor& doutput);
  /// Adds `factor` times what the linear model says to every output.
  void add(kernels::Context& context, const SideLinear& linear, float factor);
  /// Multiplies every output.
  void scale_outputs(kernels::Context& context, float factor);

  const SideShape& shape() const { return shape_; }
  /// Every weight that has an element, in a fixed order; names begin with "side.".
  std::vector<Weight*> weights();
  void make_trainable();

 private:
  void read(std::span<const SideInput* const> inputs, double thinning, kernels::Random& random);
  void hidden_forward(kernels::Context& context, double dropout, kernels::Random& random);

  SideShape shape_;
  Weight first_, first_ngrams_, first_bias_;     // [M E, F], [H, M E], [M E]
  Weight second_, second_bias_;                  // [M E, E], [M E]
  Weight last_first_, last_second_, last_bias_;  // [M K, E], [M K, E], [M K]
  Weight linear_, linear_ngrams_;                // [K, F], [V, K]
  kernels::Tensor dense_;
  TextBag text_, frequent_;  // all of them, and those that members read
  kernels::Tensor before_first_, after_first_, before_second_, after_second_, mask_first_, mask_second_;
  kernels::Tensor shared_, members_, mean_;
};

}  // namespace finetune
