#include "finetune/train/side_scale.h"

#include <cmath>
#include <limits>

#include "kernels/ops/elementwise.h"

namespace finetune {
namespace {

// exp(-1.5) to exp(1.5).
constexpr int kFactors = 31;

}  // namespace

std::vector<const SideInput*> inputs_of(std::span<const EncodedExample* const> examples) {
  std::vector<const SideInput*> inputs;
  for (const EncodedExample* example : examples) inputs.push_back(&example->side);
  return inputs;
}

ScaledLoss best_scale(kernels::Context& context, const HeadTarget& target, const ExamplePointers& examples,
                      const kernels::Tensor& outputs, const kernels::Tensor* class_weights) {
  const auto loss_with = [&](double factor) {
    kernels::Tensor scaled = outputs.clone();
    kernels::scale(context, scaled, static_cast<float>(factor));
    const kernels::LossSum sum = head_loss(context, target, examples, scaled, class_weights, 1.0f, nullptr);
    return sum.weight > 0 ? sum.loss / sum.weight : std::numeric_limits<double>::quiet_NaN();
  };
  ScaledLoss best{loss_with(1.0), 1.0};
  if (!has_labels(target.task)) return best;
  for (int i = 0; i < kFactors; ++i) {
    const double factor = std::exp(-1.5 + 3.0 * i / (kFactors - 1));
    const double loss = loss_with(factor);
    if (loss < best.loss) best = {loss, factor};
  }
  return best;
}

}  // namespace finetune
