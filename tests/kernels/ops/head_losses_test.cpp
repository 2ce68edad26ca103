#include "kernels/ops/head_losses.h"

#include <cmath>
#include <functional>

#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::expect_refused;
using test_support::random_tensor;

constexpr std::int64_t kRows = 5, kColumns = 3;

// Loss and gradient against a float64 definition of one value's loss, its slope by central differences.
void expect_defined(const std::function<LossSum(const Tensor&, const Tensor&, Tensor*)>& operation,
                    const std::function<double(double, double, std::int64_t)>& definition, const Tensor& targets,
                    const Tensor& weights) {
  const Tensor y = random_tensor({kRows, kColumns}, 3, 2.0);
  Tensor dy({kRows, kColumns});
  const LossSum sum = operation(y, weights, &dy);
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
    EXPECT_NEAR(slope, 0.5 * each * expected, 1e-5) << "element " << i;
  }
  EXPECT_NEAR(sum.loss, loss, 1e-5);
  EXPECT_NEAR(sum.weight, weight, 1e-6);
  EXPECT_NEAR(operation(y, weights, nullptr).loss, loss, 1e-5);
}

TEST(SigmoidCrossEntropy, IsTheLogOfTheChanceOfEachAnswer) {
  Context context = Context::cpu(1);
  Tensor targets({kRows, kColumns});
  for (std::size_t i = 0; i < 15; ++i) targets.values<float>()[i] = i % 4 == 3 ? NAN : i % 2 == 0 ? 1.0f : 0.0f;
  expect_defined([&](const Tensor& y, const Tensor& weights,
                     Tensor* dy) { return sigmoid_cross_entropy(context, y, targets, &weights, 0.5f, dy); },
                 [](double z, double target, std::int64_t) {
                   const double p = 1 / (1 + std::exp(-z));
                   return -(target * std::log(p) + (1 - target) * std::log(1 - p));
                 },
                 targets, Tensor::from<float>({1, 0.5f, 2, 1, 3}));
}

TEST(SigmoidCrossEntropy, StaysFiniteForLogitsOfAnySize) {
  Context context = Context::cpu(1);
  const Tensor logits = Tensor::from<float>({1e4f, -1e4f}, {1, 2}), targets = Tensor::from<float>({0, 0}, {1, 2});
  Tensor slopes({1, 2});
  const LossSum sum = sigmoid_cross_entropy(context, logits, targets, nullptr, 1.0f, &slopes);
  EXPECT_EQ(sum.loss, 1e4);
  EXPECT_EQ(slopes.values<float>()[0], 1.0f);
  EXPECT_EQ(slopes.values<float>()[1], 0.0f);
}

TEST(HuberLoss, IsSquaredWithinTheBorderAndStraightBeyond) {
  Context context = Context::cpu(1);
  Tensor targets = random_tensor({kRows, kColumns}, 4);
  targets.values<float>()[2] = NAN;
  const auto huber = [&](const Tensor& y, const Tensor& weights, Tensor* dy) {
    return huber_loss(context, y, targets, &weights, 0.75f, 0.5f, dy);
  };
  expect_defined(
      huber,
      [](double y, double target, std::int64_t) {
        const double d = std::fabs(y - target);
        return d <= 0.75 ? 0.5 * d * d : 0.75 * (d - 0.375);
      },
      targets, Tensor::from<float>({1, 1, 2, 0.5f, 1}));
  Tensor y({1, 1}), wanted({1, 1});
  expect_refused([&] { huber_loss(context, y, wanted, nullptr, 0.0f, 1.0f, nullptr); }, {"huber_loss", "positive"});
}

TEST(PinballLoss, WeighsWhatIsAboveAndBelowByTheQuantile) {
  Context context = Context::cpu(1);
  const Tensor targets = random_tensor({kRows}, 5);
  const std::vector<double> quantiles{0.1, 0.5, 0.9};
  expect_defined([&](const Tensor& y, const Tensor& weights,
                     Tensor* dy) { return pinball_loss(context, y, targets, quantiles, &weights, 0.5f, dy); },
                 [&](double y, double target, std::int64_t column) {
                   const double q = quantiles[static_cast<std::size_t>(column)];
                   return target >= y ? q * (target - y) : (1 - q) * (y - target);
                 },
                 targets, Tensor::from<float>({1, 1, 2, 0.5f, 1}));
  Tensor y({1, 2});
  expect_refused([&] { pinball_loss(context, y, Tensor({1}), quantiles, nullptr, 1.0f, nullptr); }, {"3 quantiles"});
}

}  // namespace
}  // namespace kernels
