#include "finetune/train/linear_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "finetune/adapter/text_bag.h"
#include "finetune/train/lbfgs.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

constexpr std::array<double, 4> kStrengths{3, 10, 30, 100};
constexpr std::size_t kAtOnce = 1024;

// Examples as the kernels read them, made once for all passes.
struct Part {
  std::span<const EncodedExample* const> examples;
  Tensor dense;  // [B, F]
  TextBag text;
};

std::vector<Part> parts_of(const ExamplePointers& examples, std::int64_t columns) {
  std::vector<Part> parts;
  for (std::size_t begin = 0; begin < examples.size(); begin += kAtOnce) {
    const std::size_t count = std::min(kAtOnce, examples.size() - begin);
    Part part{.examples = {examples.data() + begin, count},
              .dense = Tensor({static_cast<std::int64_t>(count), columns})};
    TextBagBuilder bag;
    for (std::size_t row = 0; row < count; ++row) {
      const SideInput& input = part.examples[row]->side;
      std::copy(input.dense.begin(), input.dense.end(),
                part.dense.data<float>() + static_cast<std::int64_t>(row) * columns);
      for (std::size_t i = 0; i < input.text.ids.size(); ++i) bag.add(input.text.ids[i], input.text.weights[i]);
      bag.end_example();
    }
    part.text = bag.bag();
    parts.push_back(std::move(part));
  }
  return parts;
}

// All weights in one row: n-grams, columns, bias.
struct Layout {
  std::int64_t columns, ngrams, outputs;

  std::int64_t count() const { return outputs * (ngrams + columns + 1); }
  SideLinear over(float* weights) const {
    return {.dense = Tensor::wrap(weights + ngrams * outputs, {outputs, columns}),
            .ngrams = Tensor::wrap(weights, {ngrams, outputs}),
            .bias = Tensor::wrap(weights + (ngrams + columns) * outputs, {outputs})};
  }
};

void say(Context& context, const SideLinear& linear, const Part& part, Tensor& outputs) {
  kernels::embedding_bag_forward(context, linear.ngrams, part.text.ids, part.text.borders, part.text.weights, outputs);
  if (part.dense.size(1) > 0)
    kernels::matmul(context, part.dense, linear.dense, outputs, {.transpose_b = true, .beta = 1.0f});
  kernels::add_bias(context, linear.bias, outputs);
}

class HeldBackLoss {
 public:
  HeldBackLoss(Context& context, const Layout& layout, const HeadTarget& target, const std::vector<Part>& parts,
               const Tensor* class_weights, const std::function<bool()>& should_stop)
      : context_(context),
        layout_(layout),
        target_(target),
        parts_(parts),
        class_weights_(class_weights),
        should_stop_(should_stop) {
    for (const Part& part : parts_) {
      for (const EncodedExample* example : part.examples) weight_ += loss_weight(target, *example, class_weights);
    }
  }
  bool teaches() const { return weight_ > 0; }

  double operator()(double strength, std::span<const float> point, std::span<float> gradient) {
    if (should_stop_ && should_stop_())
      throw platform::Error(platform::ErrorCode::kCancelled, "the fit was asked to stop");
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    // A view that writes, of weights that are only read.
    const SideLinear linear = layout_.over(const_cast<float*>(point.data()));
    SideLinear slopes = layout_.over(gradient.data());
    double loss = 0;
    for (const Part& part : parts_) loss += loss_of(linear, part, slopes);
    return loss / weight_ + hold_back(strength, point, gradient);
  }

 private:
  double loss_of(const SideLinear& linear, const Part& part, SideLinear& slopes) {
    Tensor outputs({part.dense.size(0), layout_.outputs});
    say(context_, linear, part, outputs);
    const kernels::LossSum sum = head_loss(context_, target_, part.examples, outputs, class_weights_,
                                           static_cast<float>(1.0 / weight_), &outputs);
    kernels::embedding_bag_backward(context_, part.text.ids, part.text.borders, part.text.weights, outputs,
                                    slopes.ngrams);
    if (layout_.columns > 0)
      kernels::matmul(context_, outputs, part.dense, slopes.dense, {.transpose_a = true, .beta = 1.0f});
    kernels::sum_rows(context_, outputs, slopes.bias);
    return sum.loss;
  }

  // The bias is free.
  double hold_back(double strength, std::span<const float> point, std::span<float> gradient) const {
    const double factor = 1.0 / (strength * weight_);
    double squares = 0;
    for (std::size_t i = 0; i < point.size() - static_cast<std::size_t>(layout_.outputs); ++i) {
      squares += static_cast<double>(point[i]) * static_cast<double>(point[i]);
      gradient[i] += static_cast<float>(factor) * point[i];
    }
    return factor * squares / 2;
  }

  Context& context_;
  const Layout layout_;
  const HeadTarget& target_;
  const std::vector<Part>& parts_;
  const Tensor* class_weights_;
  const std::function<bool()>& should_stop_;
  double weight_ = 0;
};

}  // namespace

void linear_outputs(Context& context, const SideLinear& linear, const ExamplePointers& examples, Tensor& outputs) {
  std::int64_t row = 0;
  for (const Part& part : parts_of(examples, linear.dense.size(1))) {
    Tensor rows = outputs.slice_rows(row, row + part.dense.size(0));
    say(context, linear, part, rows);
    row += part.dense.size(0);
  }
}

LinearFit fit_linear(Context& context, const SideShape& shape, const HeadTarget& target, const ExamplePointers& train,
                     const ExamplePointers& validation, const Tensor* class_weights, const LinearFitOptions& options,
                     const std::function<bool()>& should_stop) {
  const Layout layout{shape.dense, shape.ngrams, shape.outputs};
  const std::vector<Part> parts = parts_of(train, shape.dense);
  HeldBackLoss objective(context, layout, target, parts, class_weights, should_stop);
  LinearFit best{.loss = std::numeric_limits<double>::infinity()};
  std::vector<float> point(static_cast<std::size_t>(layout.count()), 0.0f);
  const auto fit = [&](double strength) {
    minimise([&](std::span<const float> at, std::span<float> gradient) { return objective(strength, at, gradient); },
             point);
  };
  const auto keep = [&](double strength, double loss) {
    const SideLinear made = layout.over(point.data());
    best = {{made.dense.clone(), made.ngrams.clone(), made.bias.clone()}, strength, loss};
  };
  if (!objective.teaches()) {
    keep(options.strength, 0);
    return best;
  }
  if (options.strength > 0) {
    fit(options.strength);
    keep(options.strength, 0);
    return best;
  }
  Tensor outputs({static_cast<std::int64_t>(validation.size()), shape.outputs});
  for (const double strength : kStrengths) {  // from the strongest hold on, each from where the last one ended
    fit(strength);
    linear_outputs(context, layout.over(point.data()), validation, outputs);
    const ScaledLoss scaled = best_scale(context, target, validation, outputs, class_weights);
    if (!(scaled.loss < best.loss)) break;
    keep(strength, scaled.loss);
  }
  return best;
}

}  // namespace finetune
