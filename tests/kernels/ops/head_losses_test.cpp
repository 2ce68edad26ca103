#include "kernels/ops/head_losses.h"

#include <cmath>
#include <functional>

#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::contexts;
using test_support::describe;
using test_support::expect_refused;
using test_support::random_tensor;

constexpr std::int64_t kRows = 5, kColumns = 3;

using Operation =
    std::function<LossSum(Context&, const Tensor& y, const Tensor& targets, const Tensor* weights, Tensor*)>;

// Loss and gradient against a float64 definition of one value's loss, its slope by central differences.
void expect_defined(const Operation& operation, const std::function<double(double, double, std::int64_t)>& definition,
                    const Tensor& targets, const Tensor& weights) {
  const Tensor y = random_tensor({kRows, kColumns}, 3, 2.0);
  for (Context& context : contexts()) {
    const Tensor at_home = weights.to(context);
    Tensor gradient = y.to(context);  // in place
    const LossSum sum = operation(context, gradient, targets.to(context), &at_home, &gradient);
    const Tensor dy = gradient.to_host();
    double loss = 0, weight = 0;
    for (std::int64_t i = 0; i < y.count(); ++i) {
      const std::int64_t column = i % kColumns;
      const auto at = static_cast<std::size_t>(targets.count() == kRows ? i / kColumns : i);
      const auto target = static_cast<double>(targets.values<float>()[at]);
      const auto value = static_cast<double>(y.values<float>()[static_cast<std::size_t>(i)]);
      const auto each = static_cast<double>(weights.values<float>()[static_cast<std::size_t>(i / kColumns)]);
      const auto slope = static_cast<double>(dy.values<float>()[static_cast<std::size_t>(i)]);
      if (std::isnan(target)) {
        EXPECT_EQ(slope, 0) << "a target that is not known has a gradient";
        continue;
      }
      loss += each * definition(value, target, column);
      weight += each;
      const double step = 1e-6;
      const double expected =
          (definition(value + step, target, column) - definition(value - step, target, column)) / (2 * step);
      EXPECT_NEAR(slope, 0.5 * each * expected, 1e-5) << "element " << i << " on " << describe(context);
    }
    EXPECT_NEAR(sum.loss, loss, 1e-5) << describe(context);
    EXPECT_NEAR(sum.weight, weight, 1e-6);
    EXPECT_NEAR(operation(context, y.to(context), targets.to(context), &at_home, nullptr).loss, loss, 1e-5);
  }
}

TEST(SigmoidCrossEntropy, IsTheLogOfTheChanceOfEachAnswer) {
  Tensor targets({kRows, kColumns});
  for (std::size_t i = 0; i < 15; ++i) targets.values<float>()[i] = i % 4 == 3 ? NAN : i % 2 == 0 ? 1.0f : 0.0f;
  expect_defined([](Context& context, const Tensor& y, const Tensor& wanted, const Tensor* weights,
                    Tensor* dy) { return sigmoid_cross_entropy(context, y, wanted, weights, 0.5f, dy); },
                 [](double z, double target, std::int64_t) {
                   const double p = 1 / (1 + std::exp(-z));
                   return -(target * std::log(p) + (1 - target) * std::log(1 - p));
                 },
                 targets, Tensor::from<float>({1, 0.5f, 2, 1, 3}));
}

// More values than a block of a device sums, in 16 bits too.
TEST(SigmoidCrossEntropy, ManyValuesAddUp) {
  const Tensor logits = random_tensor({700, 2}, 1).cast_to(DataType::kBFloat16), targets = random_tensor({700, 2}, 2);
  double loss = 0;
  for (std::size_t i = 0; i < 1400; ++i) {
    const double z = test_support::to_doubles(
        logits.slice_rows(static_cast<std::int64_t>(i / 2), static_cast<std::int64_t>(i / 2) + 1))[i % 2];
    loss += std::log(1 + std::exp(z)) - static_cast<double>(targets.values<float>()[i]) * z;
  }
  for (Context& context : contexts()) {
    const Tensor z = context.is_cuda() ? logits.to(context) : logits.cast_to(DataType::kFloat32);
    const LossSum sum = sigmoid_cross_entropy(context, z, targets.to(context), nullptr, 1.0f, nullptr);
    EXPECT_NEAR(sum.loss, loss, 1e-6 * std::fabs(loss)) << describe(context);
    EXPECT_EQ(sum.count, 1400);
  }
}

TEST(SigmoidCrossEntropy, StaysFiniteForLogitsOfAnySize) {
  for (Context& context : contexts()) {
    const Tensor logits = Tensor::from<float>({1e4f, -1e4f}, {1, 2}).to(context);
    const Tensor targets = Tensor::from<float>({0, 0}, {1, 2}).to(context);
    Tensor slopes = test_support::zeros(context, {1, 2});
    EXPECT_EQ(sigmoid_cross_entropy(context, logits, targets, nullptr, 1.0f, &slopes).loss, 1e4);
    EXPECT_EQ(test_support::to_doubles(slopes), (test_support::Doubles{1, 0})) << describe(context);
  }
}

TEST(HuberLoss, IsSquaredWithinTheBorderAndStraightBeyond) {
  Tensor targets = random_tensor({kRows, kColumns}, 4);
  targets.values<float>()[2] = NAN;
  expect_defined([](Context& context, const Tensor& y, const Tensor& wanted, const Tensor* weights,
                    Tensor* dy) { return huber_loss(context, y, wanted, weights, 0.75f, 0.5f, dy); },
                 [](double y, double target, std::int64_t) {
                   const double d = std::fabs(y - target);
                   return d <= 0.75 ? 0.5 * d * d : 0.75 * (d - 0.375);
                 },
                 targets, Tensor::from<float>({1, 1, 2, 0.5f, 1}));
  Context context = Context::cpu(1);
  Tensor y({1, 1}), wanted({1, 1});
  expect_refused([&] { huber_loss(context, y, wanted, nullptr, 0.0f, 1.0f, nullptr); }, {"huber_loss", "positive"});
}

TEST(PinballLoss, WeighsWhatIsAboveAndBelowByTheQuantile) {
  const std::vector<double> quantiles{0.1, 0.5, 0.9};
  expect_defined([&](Context& context, const Tensor& y, const Tensor& wanted, const Tensor* weights,
                     Tensor* dy) { return pinball_loss(context, y, wanted, quantiles, weights, 0.5f, dy); },
                 [&](double y, double target, std::int64_t column) {
                   const double q = quantiles[static_cast<std::size_t>(column)];
                   return target >= y ? q * (target - y) : (1 - q) * (y - target);
                 },
                 random_tensor({kRows}, 5), Tensor::from<float>({1, 1, 2, 0.5f, 1}));
  Context context = Context::cpu(1);
  Tensor y({1, 2});
  expect_refused([&] { pinball_loss(context, y, Tensor({1}), quantiles, nullptr, 1.0f, nullptr); }, {"3 quantiles"});
}

}  // namespace
}  // namespace kernels
