#include "kernels/core/error.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rotary.h"
#include "kernels/ops/swiglu.h"
#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::contexts;
using test_support::describe;
using test_support::Doubles;
using test_support::expect_close;
using test_support::expect_refused;
using test_support::like;
using test_support::OpCase;
using test_support::random_tensor;
using test_support::to_doubles;
using test_support::zeros;

OpCase rms_norm_case(Shape shape, std::int64_t channels, bool plus_one) {
  const RmsNormOptions options{.epsilon = 1e-3f, .weight_plus_one = plus_one};
  OpCase op;
  op.name = "rms_norm " + shape_to_string(shape);
  op.inputs.push_back(random_tensor(shape, 1));
  op.inputs.push_back(random_tensor({channels}, 2));
  op.differentiated = 2;
  op.forward = [=](Context& context, const std::vector<Tensor>& in) {
    Tensor y = like(context, in[0]), rstd({in[0].count() / channels}, DataType::kFloat32, context);
    rms_norm_forward(context, in[0], in[1], options, y, rstd);
    return y;
  };
  op.backward = [=](Context& context, const std::vector<Tensor>& in, const Tensor& dy) {
    Tensor y = like(context, in[0]), rstd({in[0].count() / channels}, DataType::kFloat32, context);
    rms_norm_forward(context, in[0], in[1], options, y, rstd);
    std::vector<Tensor> gradients;
    gradients.push_back(dy.clone());  // in place: dx is dy
    gradients.push_back(zeros(context, {channels}));
    rms_norm_backward(context, gradients[0], in[0], in[1], rstd, options, gradients[0], &gradients[1]);
    return gradients;
  };
  op.definition = [=](const std::vector<Doubles>& in) {
    const auto width = static_cast<std::size_t>(channels);
    Doubles y(in[0].size());
    for (std::size_t row = 0; row < y.size(); row += width) {
      double squares = 0.0;
      for (std::size_t c = 0; c < width; ++c) squares += in[0][row + c] * in[0][row + c] / static_cast<double>(width);
      for (std::size_t c = 0; c < width; ++c) {
        y[row + c] = in[0][row + c] / std::sqrt(squares + 1e-3) * (in[1][c] + (plus_one ? 1.0 : 0.0));
      }
    }
    return y;
  };
  return op;
}

TEST(RmsNorm, MatchesItsDefinition) {
  check_op(rms_norm_case({1, 5}, 5, false));
  check_op(rms_norm_case({9, 37}, 37, true));
  check_op(rms_norm_case({7, 3, 12}, 12, false));  // per head
  check_op(rms_norm_case({300, 64}, 64, false));
  check_op(rms_norm_case({5, 1040}, 1040, true));
}

TEST(RmsNorm, AFloat32WeightServes16BitActivations) {
  OpCase op = rms_norm_case({6, 48}, 48, false);
  op.float32_inputs = {1};
  check_op(op);
}

TEST(RmsNorm, AddsToTheInputGradientWhenAsked) {
  for (Context& context : contexts()) {
    const Tensor x = random_tensor({6, 10}, 1).to(context), weight = random_tensor({10}, 2).to(context);
    const Tensor dy = random_tensor({6, 10}, 3).to(context);
    Tensor y = like(context, x), rstd = zeros(context, {6}), plain = like(context, x);
    Tensor added = random_tensor({6, 10}, 4).to(context);
    Doubles expected = to_doubles(added);
    rms_norm_forward(context, x, weight, {}, y, rstd);
    rms_norm_backward(context, dy, x, weight, rstd, {}, plain, nullptr);
    rms_norm_backward(context, dy, x, weight, rstd, {}, added, nullptr, true);
    const Doubles change = to_doubles(plain);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += change[i];
    expect_close(to_doubles(added), expected, 1e-6, "dx on " + describe(context));
  }
}

TEST(RmsNorm, WithTheResidualIsTheSumThenTheNorm) {
  for (Context& context : contexts()) {
    for (const DataType type : {DataType::kFloat32, DataType::kBFloat16, DataType::kFloat16}) {
      if (type != DataType::kFloat32 && !context.is_cuda()) continue;
      const Tensor delta = random_tensor({7, 24}, 1).cast_to(type), weight = random_tensor({24}, 2);
      const Tensor before = random_tensor({7, 24}, 3).cast_to(type);
      Tensor residual = before.to(context), y = like(context, residual), rstd = zeros(context, {7});
      add_rms_norm_forward(context, delta.to(context), weight.to(context), {}, residual, y, rstd);
      Tensor sum({7, 24}), expected({7, 24}), expected_rstd({7});
      for (std::size_t i = 0; i < 168; ++i)
        sum.values<float>()[i] = static_cast<float>(to_doubles(before)[i] + to_doubles(delta)[i]);
      const Tensor rounded = sum.cast_to(type);
      EXPECT_EQ(to_doubles(residual), to_doubles(rounded)) << describe(context);
      Context cpu = Context::cpu(1);
      rms_norm_forward(cpu, rounded.cast_to(DataType::kFloat32), weight, {}, expected, expected_rstd);
      expect_close(to_doubles(y), to_doubles(expected), type == DataType::kFloat32 ? 1e-6 : 6e-3, "y");
      expect_close(to_doubles(rstd), to_doubles(expected_rstd), 1e-5, "rstd");
    }
  }
}

TEST(RmsNorm, RefusesTensorsOfAnotherDeviceNamingThem) {
  for (Context& context : contexts()) {
    if (!context.is_cuda()) continue;
    const Tensor x = random_tensor({2, 4}, 1), weight = random_tensor({4}, 2).to(context);
    Tensor y({2, 4}, DataType::kFloat32, context), rstd({2}, DataType::kFloat32, context);
    expect_refused([&] { rms_norm_forward(context, x, weight, {}, y, rstd); },
                   {"rms_norm_forward", "x [2, 4]", "on cpu", "cuda:0"});
    Context cpu = Context::cpu(1);
    expect_refused([&] { rms_norm_forward(cpu, x, weight, {}, y, rstd); }, {"weight [4]", "on cuda:0", "on cpu"});
  }
}

TEST(RmsNorm, RefusesRowsThatDoNotSplitAndAcceptsNone) {
  for (Context& context : contexts()) {
    Tensor weight = zeros(context, {4}), x = zeros(context, {2, 6}), y = zeros(context, {2, 6});
    Tensor rstd = zeros(context, {3}), none = zeros(context, {0, 4}), none_y = zeros(context, {0, 4});
    Tensor none_rstd = zeros(context, {0});
    expect_refused([&] { rms_norm_forward(context, x, weight, {}, y, rstd); }, {"rms_norm_forward", "[2, 6]", "4"});
    rms_norm_forward(context, none, weight, {}, none_y, none_rstd);
  }
}

OpCase rotary_case(std::int64_t tokens, std::int64_t heads, std::int64_t size, std::int64_t pairs) {
  std::vector<std::int32_t> positions;
  std::vector<float> frequencies;
  for (std::int64_t n = 0; n < tokens; ++n) positions.push_back(static_cast<std::int32_t>(3 * n + 1));
  for (std::int64_t f = 0; f < pairs; ++f) frequencies.push_back(1.0f / static_cast<float>(1 << f));
  const auto table_of = [=](Context& context) {
    RotaryTable table;
    make_rotary_table(context, Tensor::from(positions).to(context), Tensor::from(frequencies).to(context), 1.25f,
                      table);
    return table;
  };
  OpCase op;
  op.name = "rotary " + shape_to_string(Shape{tokens, heads, size});
  op.inputs.push_back(random_tensor({tokens, heads, size}, 1));
  op.differentiated = 1;
  op.forward = [=](Context& context, const std::vector<Tensor>& in) {
    Tensor x = in[0].clone();
    rotary_forward(context, table_of(context), x);
    return x;
  };
  op.backward = [=](Context& context, const std::vector<Tensor>&, const Tensor& dy) {
    std::vector<Tensor> gradients;
    gradients.push_back(dy.clone());
    rotary_backward(context, table_of(context), gradients[0]);
    return gradients;
  };
  op.definition = [=](const std::vector<Doubles>& in) {
    Doubles y = in[0];
    for (std::int64_t n = 0; n < tokens * heads; ++n) {
      for (std::int64_t f = 0; f < pairs; ++f) {
        const double angle = positions[static_cast<std::size_t>(n / heads)] *
                             static_cast<double>(frequencies[static_cast<std::size_t>(f)]);
        const auto a = static_cast<std::size_t>(n * size + f), b = a + static_cast<std::size_t>(pairs);
        y[a] = 1.25 * (in[0][a] * std::cos(angle) - in[0][b] * std::sin(angle));
        y[b] = 1.25 * (in[0][b] * std::cos(angle) + in[0][a] * std::sin(angle));
      }
    }
    return y;
  };
  return op;
}

TEST(Rotary, MatchesItsDefinitionAndItsTransposeIsTheGradient) {
  check_op(rotary_case(1, 1, 2, 1));
  check_op(rotary_case(70, 3, 16, 8));
  check_op(rotary_case(6, 2, 24, 8));  // in pieces of 16 bytes; channels beyond the rotated ones pass through
  check_op(rotary_case(5, 2, 11, 4));  // channels beyond the rotated ones pass through
}

TEST(Rotary, RefusesMoreFrequenciesThanTheHeadHolds) {
  for (Context& context : contexts()) {
    RotaryTable table{zeros(context, {2, 5}), zeros(context, {2, 5})};
    Tensor x = zeros(context, {2, 1, 8});
    expect_refused([&] { rotary_forward(context, table, x); }, {"rotary_forward", "5", "[2, 1, 8]"});
  }
}

double act(Activation activation, double z) {
  if (activation == Activation::kSilu) return z / (1.0 + std::exp(-z));
  return 0.5 * z * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (z + 0.044715 * z * z * z)));
}

OpCase swiglu_case(std::int64_t count, Activation activation) {
  OpCase op;
  op.name = "swiglu of " + std::to_string(count);
  op.inputs.push_back(random_tensor({count}, 1, 3.0));
  op.inputs.push_back(random_tensor({count}, 2));
  op.differentiated = 2;
  op.forward = [=](Context& context, const std::vector<Tensor>& in) {
    Tensor h = in[0].clone();  // in place: h is gate
    swiglu_forward(context, h, in[1], h, activation);
    return h;
  };
  op.backward = [=](Context& context, const std::vector<Tensor>& in, const Tensor& dh) {
    std::vector<Tensor> gradients;  // in place: dgate is gate, dup is up
    gradients.push_back(in[0].clone());
    gradients.push_back(in[1].clone());
    swiglu_backward(context, dh, gradients[0], gradients[1], gradients[0], gradients[1], activation);
    return gradients;
  };
  op.definition = [=](const std::vector<Doubles>& in) {
    Doubles h(in[0].size());
    for (std::size_t i = 0; i < h.size(); ++i) h[i] = act(activation, in[0][i]) * in[1][i];
    return h;
  };
  return op;
}

TEST(Swiglu, MatchesItsDefinitionForBothActivations) {
  for (const Activation activation : {Activation::kSilu, Activation::kGeluTanh}) {
    for (const std::int64_t count : {0, 1, 13, 4800}) check_op(swiglu_case(count, activation));
  }
}

TEST(Swiglu, ExtremeGatesStayFinite) {
  for (Context& context : contexts()) {
    const Tensor gate = Tensor::from<float>({-1000, -90, 0, 90, 1000}).to(context);
    const Tensor up = Tensor::from<float>({1, 1, 1, 1, 1}).to(context);
    for (const Activation activation : {Activation::kSilu, Activation::kGeluTanh}) {
      Tensor h = like(context, up), dgate = like(context, up), dup = like(context, up);
      swiglu_forward(context, gate, up, h, activation);
      expect_close(to_doubles(h), {0, 0, 0, 90, 1000}, 1e-6, "h");
      swiglu_backward(context, up, gate, up, dgate, dup, activation);
      expect_close(to_doubles(dgate), {0, 0, 0.5, 1, 1}, 1e-6, "dgate");
    }
  }
}

TEST(Activations, MatchTheGatedFormWithAnUpOfOne) {
  for (const Activation activation : {Activation::kSilu, Activation::kGeluTanh}) {
    OpCase op = swiglu_case(29, activation);
    op.name = "activation";
    op.inputs.pop_back();
    op.differentiated = 1;
    op.forward = [=](Context& context, const std::vector<Tensor>& in) {
      Tensor y = like(context, in[0]);
      activation_forward(context, activation, in[0], y);
      return y;
    };
    op.backward = [=](Context& context, const std::vector<Tensor>& in, const Tensor& dy) {
      std::vector<Tensor> gradients;
      gradients.push_back(like(context, in[0]));
      activation_backward(context, activation, dy, in[0], gradients[0]);
      return gradients;
    };
    op.definition = [=](const std::vector<Doubles>& in) {
      Doubles y;
      for (const double z : in[0]) y.push_back(act(activation, z));
      return y;
    };
    check_op(op);
  }
}

}  // namespace
}  // namespace kernels
