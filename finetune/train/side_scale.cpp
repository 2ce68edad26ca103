#include "finetune/train/side_scale.h"

#include <cmath>
#include <limits>

#include "kernels/ops/elementwise.h"

namespace finetune {
namespace {

// exp(-1.5) to exp(1.5).
constexpr int kFactors = 31;
// Of the logarithm of a succession_factor.
constexpr double kLeast = -6;
constexpr int kHalvings = 30;

// What outputs leave to what did not happen.
struct Doubt {
  double mean = 0;
  double examples = 0;        // that have a label
  bool any_is_wrong = false;  // an example is told wrong
};

void add_doubt(const HeadTarget& target, const EncodedExample& example, const std::vector<double>& answer,
               Doubt& doubt) {
  if (has_one_label(target.task)) {
    if (example.label < 0) return;
    const std::vector<float> probabilities(answer.begin(), answer.end());
    doubt.any_is_wrong = doubt.any_is_wrong || chosen_label(target.task, probabilities) != example.label;
    doubt.mean += 1 - answer[static_cast<std::size_t>(example.label)];
  } else {
    for (std::size_t k = 0; k < answer.size(); ++k) {
      const double right = example.marks[k] > 0.5f ? answer[k] : 1 - answer[k];
      doubt.any_is_wrong = doubt.any_is_wrong || right <= 0.5;
      doubt.mean += (1 - right) / static_cast<double>(answer.size());
    }
  }
  doubt.examples += 1;
}

Doubt doubt_of(const HeadTarget& target, const ExamplePointers& examples, const kernels::Tensor& outputs,
               double factor) {
  Doubt doubt;
  const auto width = static_cast<std::size_t>(outputs.size(1));
  std::vector<float> row(width);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const auto given = outputs.values<float>().subspan(i * width, width);
    for (std::size_t k = 0; k < width; ++k) row[k] = given[k] * static_cast<float>(factor);
    add_doubt(target, *examples[i], head_answer(target, *examples[i], row), doubt);
  }
  if (doubt.examples > 0) doubt.mean /= doubt.examples;
  return doubt;
}

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

double succession_factor(const HeadTarget& target, const ExamplePointers& examples, const kernels::Tensor& outputs) {
  if (!has_labels(target.task)) return 1;
  const Doubt own = doubt_of(target, examples, outputs, 1);
  const double wanted = 1 / (own.examples + 2);
  if (own.examples == 0 || own.any_is_wrong || !(own.mean < wanted)) return 1;
  double low = kLeast, high = 0;  // the smaller the factor, the larger the doubt
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (doubt_of(target, examples, outputs, std::exp(middle)).mean < wanted ? high : low) = middle;
  }
  return std::exp(low);
}

}  // namespace finetune
