// OpCase: one kernel operation described once, from which check_op() derives all that every operation must pass, on
// every device that the program has and in every type that the device computes with: the forward result against a
// float64 definition, gradients against central differences of that definition, equal bits when repeated (on the
// emulated device under another order of blocks and warps), and the same answer with one thread and with two.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"
#include "kernels/cuda/operations.h"
#if defined(ANNEAL_CUDA_EMULATION)
#include "tests/support/cuda_emulation/execution.h"
#endif

namespace test_support {

using Doubles = std::vector<double>;

struct OpCase {
  std::string name;
  /// Float32 inputs on the CPU; gradients are wanted for the first `differentiated` of them. forward and backward get
  /// them on the context's device, and in 16 bits where those are checked, but for those named in `float32_inputs`.
  std::vector<kernels::Tensor> inputs;
  std::size_t differentiated = 0;
  std::set<std::size_t> float32_inputs;
  std::function<kernels::Tensor(kernels::Context&, const std::vector<kernels::Tensor>&)> forward;
  /// Gradients of sum(output * d_output), one per differentiated input; may run forward for what it saves.
  std::function<std::vector<kernels::Tensor>(kernels::Context&, const std::vector<kernels::Tensor>&,
                                             const kernels::Tensor&)>
      backward;
  std::function<Doubles(const std::vector<Doubles>&)> definition;
  double tolerance = 2e-5;
  double gradient_tolerance = 1e-4;
  /// In 16 bits: the tolerances in steps of the type at 1.
  double steps = 1.5;
  double gradient_steps = 3.0;
  /// False for what has no CUDA version, or no 16-bit one.
  bool on_cuda = true;
  bool in_16_bits = true;
};

/// Everything that this program can compute with: the CPU with one thread and with two, and the first CUDA device where
/// one is built in (the emulated one, in kernels_cuda_test) and present.
inline std::vector<kernels::Context> contexts() {
  std::vector<kernels::Context> all;
  for (const int threads : {1, 2}) all.push_back(kernels::Context::cpu(threads));
  if constexpr (kernels::kCudaBuilt) {
    if (kernels::cuda::device_count() > 0) all.push_back(kernels::Context::cuda(0));
  }
  return all;
}

/// "cpu with 2 threads".
inline std::string describe(const kernels::Context& context) {
#if defined(ANNEAL_CUDA_EMULATION)
  if (context.is_cuda())
    return "the emulated device, ANNEAL_EMULATION_SEED=" + std::to_string(cuda_emulation::first_seed());
#endif
  if (context.is_cuda()) return kernels::to_string(context.device());
  return "cpu with " + std::to_string(context.threads()) + " threads";
}

/// Uninitialised, of the type of `tensor` and on the context's device.
inline kernels::Tensor like(const kernels::Context& context, const kernels::Tensor& tensor) {
  return kernels::Tensor(tensor.shape(), tensor.type(), context);
}

/// Float32 on the context's device.
inline kernels::Tensor zeros(const kernels::Context& context, kernels::Shape shape) {
  return kernels::Tensor::zeros(std::move(shape), kernels::DataType::kFloat32, context);
}

/// Normal numbers times `scale` from a fixed seed.
inline kernels::Tensor random_tensor(kernels::Shape shape, std::uint64_t seed, double scale = 1.0) {
  kernels::Tensor tensor(std::move(shape));
  kernels::Random random(seed);
  for (float& value : tensor.values<float>()) value = static_cast<float>(scale * random.normal());
  return tensor;
}

/// Of any floating-point type, on any device.
inline Doubles to_doubles(const kernels::Tensor& tensor) {
  const kernels::Tensor wide = tensor.to_host().cast_to(kernels::DataType::kFloat32);
  const auto values = wide.values<float>();
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
  const kernels::Tensor left = a.to_host(), right = b.to_host();
  return a.shape() == b.shape() && a.type() == b.type() &&
         (a.count() == 0 || std::memcmp(left.raw_data(), right.raw_data(), left.size_bytes()) == 0);
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

// One case on one device in one type.
struct OpCheck {
  const OpCase& op;
  kernels::Context& context;
  kernels::DataType type;
  std::string name;
  std::vector<kernels::Tensor> inputs;  // as the operation gets them
  std::vector<Doubles> values;          // the same, as the definition gets them

  double tolerance(double float32, double steps) const {
    if (type == kernels::DataType::kFloat32) return float32;
    return steps * (type == kernels::DataType::kBFloat16 ? 0x1p-7 : 0x1p-10);
  }
};

inline OpCheck make_check(const OpCase& op, kernels::Context& context, kernels::DataType type) {
  OpCheck check{op, context, type, op.name + " on " + describe(context) + " in " + kernels::name_of(type), {}, {}};
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const bool wide = op.float32_inputs.count(i) > 0 || op.inputs[i].type() != kernels::DataType::kFloat32;
    const kernels::Tensor rounded = wide ? op.inputs[i].clone() : op.inputs[i].cast_to(type);
    check.values.push_back(to_doubles(rounded));
    check.inputs.push_back(rounded.to(context));
  }
  return check;
}

inline void check_gradients(const OpCheck& check, const kernels::Tensor& output) {
  const OpCase& op = check.op;
  const kernels::Tensor d_output = random_tensor(output.shape(), 99).cast_to(output.type()).to(check.context);
  const std::vector<kernels::Tensor> gradients = op.backward(check.context, check.inputs, d_output);
  const std::vector<kernels::Tensor> again = op.backward(check.context, check.inputs, d_output);
  ASSERT_EQ(gradients.size(), op.differentiated) << check.name;
  constexpr std::size_t kMostChecked = 40;
  for (std::size_t which = 0; which < gradients.size(); ++which) {
    ASSERT_TRUE(same_bits(gradients[which], again[which]))
        << check.name << ": gradient " << which << " is not repeatable";
    const Doubles actual = to_doubles(gradients[which]);
    ASSERT_EQ(actual.size(), check.values[which].size());
    const std::size_t stride = std::max<std::size_t>(1, actual.size() / kMostChecked);
    Doubles checked, expected;
    for (std::size_t i = which % std::max<std::size_t>(1, stride); i < actual.size(); i += stride) {
      checked.push_back(actual[i]);
      expected.push_back(numeric_slope(op, check.values, to_doubles(d_output), which, i));
    }
    expect_close(checked, expected, check.tolerance(op.gradient_tolerance, op.gradient_steps),
                 check.name + ": gradient " + std::to_string(which));
  }
}

inline void check_op_on(const OpCheck& check) {
  const OpCase& op = check.op;
  const kernels::Tensor output = op.forward(check.context, check.inputs);
  expect_close(to_doubles(output), op.definition(check.values), check.tolerance(op.tolerance, op.steps), check.name);
  EXPECT_TRUE(same_bits(output, op.forward(check.context, check.inputs))) << check.name << " is not repeatable";
  if (op.backward) check_gradients(check, output);
}

inline void check_op(const OpCase& op) {
  using kernels::DataType;
  for (kernels::Context& context : contexts()) {
    if (context.is_cuda() && !op.on_cuda) continue;
    for (const DataType type : {DataType::kFloat32, DataType::kBFloat16, DataType::kFloat16}) {
      if (type != DataType::kFloat32 && !(context.is_cuda() && op.in_16_bits)) continue;
      check_op_on(make_check(op, context, type));
      if (testing::Test::HasFatalFailure()) return;
    }
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
