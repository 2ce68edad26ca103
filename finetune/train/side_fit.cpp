#include "finetune/train/side_fit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "finetune/train/optimizer.h"
#include "finetune/train/schedule.h"
#include "kernels/ops/elementwise.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;
using Batch = std::span<const EncodedExample* const>;

// Small sets take small steps' batches: more of them.
constexpr std::size_t kSmallSet = 2000;
constexpr std::size_t kScoredAtOnce = 256;
// The average is as large as the weights; reading all of it at every step would be a third of the time.
constexpr std::int64_t kBetweenAverages = 4;
constexpr float kRareRate = 5.0f;
constexpr std::chrono::seconds kBetweenQuestions{1};

// The table of n-grams that the linear part reads learns fast and does not shrink: most of its rows are seen a few
// times an epoch, and a rare word that tells a label by itself needs a large weight.
std::vector<TrainedWeight> trained(SideNetwork& network) {
  network.make_trainable();
  std::vector<TrainedWeight> weights;
  for (Weight* weight : network.weights()) {
    const bool rare = weight->name == "side.linear_ngrams";
    weights.push_back({weight, weight->value.rank() == 2 && !rare, rare ? kRareRate : 1.0f});
  }
  return weights;
}

class Fit {
 public:
  Fit(Context& context, SideNetwork& network, const HeadTarget& target, const ExamplePointers& train,
      const ExamplePointers& validation, const Tensor* class_weights, const SideFitOptions& options)
      : context_(context),
        network_(network),
        target_(target),
        train_(train),
        validation_(validation),
        class_weights_(class_weights),
        options_(options),
        optimizer_(trained(network), {.weight_decay = options.weight_decay, .clip_norm = 0}) {
    batch_ = train.size() < kSmallSet ? 32 : 64;
    batches_ = (train.size() + batch_ - 1) / batch_;
    const auto wanted = static_cast<std::int64_t>(options.epochs * static_cast<double>(batches_));
    steps_ = std::clamp(wanted, options.min_steps, options.max_steps);
    order_.resize(train.size());
    for (const TrainedWeight& weight : optimizer_.weights()) average_.push_back(weight.weight->value.clone());
  }

  SideFit run(const std::function<bool()>& should_stop) {
    const std::vector<Tensor> before = copies();
    SideFit result{.steps = steps_, .best_step = steps_};
    std::vector<Tensor> best;
    const std::int64_t between = std::max<std::int64_t>(1, steps_ / options_.looks);
    const auto end = options_.stop_at > 0 ? std::llround(options_.stop_at * static_cast<double>(steps_)) : steps_;
    for (std::int64_t step = 0; step < end; ++step) {
      if (should_stop && question_is_due() && should_stop()) {
        put(before);
        throw platform::Error(platform::ErrorCode::kCancelled, "the fit was asked to stop");
      }
      one_step(step);
      if (validation_.empty() || ((step + 1) % between != 0 && step + 1 != steps_)) continue;
      swap_with_average();
      const ScaledLoss look = look_at_validation();
      if (std::isfinite(look.loss) && (best.empty() || look.loss < result.loss)) {
        result = {steps_, step + 1, look.loss, look.factor};
        best = copies();
      }
      swap_with_average();
    }
    best.empty() ? swap_with_average() : put(best);
    network_.scale_outputs(context_, static_cast<float>(result.factor));
    return result;
  }

 private:
  bool question_is_due() {
    const auto now = std::chrono::steady_clock::now();
    if (now - asked_ < kBetweenQuestions) return false;
    asked_ = now;
    return true;
  }

  std::vector<Tensor> copies() const {
    std::vector<Tensor> all;
    for (const TrainedWeight& weight : optimizer_.weights()) all.push_back(weight.weight->value.clone());
    return all;
  }
  void put(const std::vector<Tensor>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) optimizer_.weights()[i].weight->value.copy_from(values[i]);
  }
  void swap_with_average() {
    for (std::size_t i = 0; i < average_.size(); ++i) std::swap(optimizer_.weights()[i].weight->value, average_[i]);
  }

  std::vector<const EncodedExample*> batch_of(std::int64_t step) {
    const std::size_t place = static_cast<std::size_t>(step) % batches_;
    if (place == 0) {
      std::iota(order_.begin(), order_.end(), std::size_t{0});
      kernels::Random random(kernels::random_bits(options_.seed, static_cast<std::uint64_t>(step)));
      for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
    }
    std::vector<const EncodedExample*> batch;
    for (std::size_t i = place * batch_; i < std::min(order_.size(), (place + 1) * batch_); ++i)
      batch.push_back(train_[order_[i]]);
    return batch;
  }

  void one_step(std::int64_t step) {
    const auto batch = batch_of(step);
    double weight = 0;
    for (const EncodedExample* example : batch) weight += loss_weight(target_, *example, class_weights_);
    optimizer_.zero_gradients();
    if (weight > 0) {
      Tensor& outputs =
          network_.forward_members(context_, inputs_of(batch), options_.dropout, options_.thinning,
                                   kernels::random_bits(options_.seed ^ 0x51deU, static_cast<std::uint64_t>(step)));
      const auto rows = static_cast<std::int64_t>(batch.size());
      for (std::int64_t member = 0; member < network_.shape().members; ++member) {
        Tensor output = outputs.slice_rows(member * rows, (member + 1) * rows);
        head_loss(context_, target_, batch, output, class_weights_, static_cast<float>(1.0 / weight), &output);
      }
      network_.backward(context_, outputs);
    }
    const double factor = step_factor("cosine", step, 0, steps_);
    optimizer_.step(context_, factor * static_cast<double>(options_.learning_rate));
    if ((step + 1) % kBetweenAverages != 0) return;
    const auto made = static_cast<double>(step + 1);
    const auto memory =
        static_cast<float>(std::pow(std::min(options_.weight_average, (1.0 + made) / (10.0 + made)), kBetweenAverages));
    for (std::size_t i = 0; i < average_.size(); ++i) {
      kernels::scale(context_, average_[i], memory);
      kernels::add(context_, optimizer_.weights()[i].weight->value, average_[i], 1.0f - memory);
    }
  }

  ScaledLoss look_at_validation() {
    Tensor outputs = Tensor::zeros({static_cast<std::int64_t>(validation_.size()), output_count(target_)});
    add_side_outputs(context_, network_, validation_, outputs);
    return best_scale(context_, target_, validation_, outputs, class_weights_);
  }

  Context& context_;
  SideNetwork& network_;
  const HeadTarget& target_;
  const ExamplePointers& train_;
  const ExamplePointers& validation_;
  const Tensor* class_weights_;
  const SideFitOptions& options_;
  Optimizer optimizer_;
  std::size_t batch_ = 32, batches_ = 1;
  std::int64_t steps_ = 1;
  std::vector<std::size_t> order_;
  std::vector<Tensor> average_;
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
};

}  // namespace

void add_side_outputs(Context& context, SideNetwork& network, const ExamplePointers& examples, Tensor& outputs) {
  for (std::size_t begin = 0; begin < examples.size(); begin += kScoredAtOnce) {
    const std::size_t end = std::min(examples.size(), begin + kScoredAtOnce);
    const Batch part(examples.data() + begin, end - begin);
    Tensor rows = outputs.slice_rows(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end));
    kernels::add(context, network.forward(context, inputs_of(part)), rows);
  }
}

SideFit fit_side_network(Context& context, SideNetwork& network, const HeadTarget& target, const ExamplePointers& train,
                         const ExamplePointers& validation, const Tensor* class_weights, const SideFitOptions& options,
                         const std::function<bool()>& should_stop) {
  return Fit(context, network, target, train, validation, class_weights, options).run(should_stop);
}

}  // namespace finetune
