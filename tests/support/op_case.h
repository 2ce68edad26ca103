// OpCase: one kernel operation described once, from which check_op() derives all that every operation must pass:
// the forward result against a float64 definition, gradients against central differences of that definition, equal bits
// when repeated, and the same answer with one thread and with two.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"

namespace test_support {

using Doubles = std::vector<double>;

struct OpCase {
  std::string name;
  /// Float32 inputs; gradients are wanted for the first `differentiated` of them.
  std::vector<kernels::Tensor> inputs;
  std::size_t differentiated = 0;
  std::function<kernels::Tensor(kernels::Context&, const std::vector<kernels::Tensor>&)> forward;
  /// Gradients of sum(output * d_output), one per differentiated input; may run forward for what it saves.
  std::function<std::vector<kernels::Tensor>(kernels::Context&, const std::vector<kernels::Tensor>&,
                                             const kernels::Tensor&)>
      backward;
  std::function<Doubles(const std::vector<Doubles>&)> definition;
  double tolerance = 2e-5;
  double gradient_tolerance = 1e-4;
};

/// Normal numbers times `scale` from a fixed seed.
inline kernels::Tensor random_tensor(kernels::Shape shape, std::uint64_t seed, double scale = 1.0) {
  kernels::Tensor tensor(std::move(shape));
  kernels::Random random(seed);
  for (float& value : tensor.values<float>()) value = static_cast<float>(scale * random.normal());
  return tensor;
}

inline Doubles to_doubles(const kernels::Tensor& tensor) {
  const auto values = tensor.values<float>();
  return Doubles(values.begin(), values.end());
}

/// |actual - expected| <= tolerance * (1 + largest |expected|) everywhere.
inline void expect_close(const Doubles& actual, const Doubles& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 0.0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::abs(actual[i] - expected[i]), tolerance * (1.0 + largest))
        << what << " element " << i << ": " << actual[i] << " instead of " << expected[i];
  }
}

inline bool same_bits(const kernels::Tensor& a, const kernels::Tensor& b) {
  return a.shape() == b.shape() && (a.count() == 0 || std::memcmp(a.raw_data(), b.raw_data(), a.size_bytes()) == 0);
}

// Central difference of sum(definition * d_output) by element `index` of input `which`.
inline double numeric_slope(const OpCase& op, std::vector<Doubles> inputs, const Doubles& d_output, std::size_t which,
                            std::size_t index) {
  constexpr double kStep = 1e-4;
  double slope = 0.0;
  for (const double direction : {1.0, -1.0}) {
    std::vector<Doubles> moved = inputs;
    moved[which][index] += direction * kStep;
    const Doubles output = op.definition(moved);
    for (std::size_t i = 0; i < output.size(); ++i) slope += direction * output[i] * d_output[i] / (2.0 * kStep);
  }
  return slope;
}

inline void check_gradients(const OpCase& op, kernels::Context& context, const kernels::Tensor& output) {
  const kernels::Tensor d_output = random_tensor(output.shape(), 99);
  const std::vector<kernels::Tensor> gradients = op.backward(context, op.inputs, d_output);
  const std::vector<kernels::Tensor> again = op.backward(context, op.inputs, d_output);
  ASSERT_EQ(gradients.size(), op.differentiated) << op.name;
  std::vector<Doubles> inputs;
  for (const kernels::Tensor& input : op.inputs) inputs.push_back(to_doubles(input));
  constexpr std::size_t kMostChecked = 40;
  for (std::size_t which = 0; which < gradients.size(); ++which) {
    ASSERT_TRUE(same_bits(gradients[which], again[which])) << op.name << ": gradient " << which << " is not repeatable";
    const Doubles actual = to_doubles(gradients[which]);
    ASSERT_EQ(actual.size(), inputs[which].size());
    const std::size_t stride = std::max<std::size_t>(1, actual.size() / kMostChecked);
    Doubles checked, expected;
    for (std::size_t i = which % std::max<std::size_t>(1, stride); i < actual.size(); i += stride) {
      checked.push_back(actual[i]);
      expected.push_back(numeric_slope(op, inputs, to_doubles(d_output), which, i));
    }
    expect_close(checked, expected, op.gradient_tolerance, op.name + ": gradient " + std::to_string(which));
  }
}

inline void check_op(const OpCase& op) {
  std::vector<Doubles> inputs;
  for (const kernels::Tensor& input : op.inputs) inputs.push_back(to_doubles(input));
  const Doubles expected = op.definition(inputs);
  for (const int threads : {1, 2}) {
    kernels::Context context = kernels::Context::cpu(threads);
    const std::string name = op.name + " with " + std::to_string(threads) + " threads";
    const kernels::Tensor output = op.forward(context, op.inputs);
    expect_close(to_doubles(output), expected, op.tolerance, name);
    EXPECT_TRUE(same_bits(output, op.forward(context, op.inputs))) << name << " is not repeatable";
    if (op.backward) check_gradients(op, context, output);
    if (testing::Test::HasFatalFailure()) return;
  }
}

/// The call throws std::invalid_argument and the message holds every one of these parts.
inline void expect_refused(const std::function<void()>& call, const std::vector<std::string>& parts) {
  try {
    call();
    FAIL() << "nothing was thrown";
  } catch (const std::invalid_argument& error) {
    for (const std::string& part : parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

}  // namespace test_support
