#include "kernels/ops/lora.h"

#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::contexts;
using test_support::describe;
using test_support::Doubles;
using test_support::expect_refused;
using test_support::OpCase;
using test_support::random_tensor;
using test_support::to_doubles;
using test_support::zeros;

// The mask as the branch applies it: a branch with A = identity and B = identity returns drop(x).
Doubles mask_of(Context& context, std::int64_t rows, std::int64_t in, const LoraOptions& options) {
  Tensor ones({rows, in}), unit = Tensor::zeros({in, in});
  std::fill_n(ones.data<float>(), ones.count(), 1.0f);
  for (std::int64_t i = 0; i < in; ++i) unit.data<float>()[i * in + i] = 1.0f;
  const Tensor x = ones.to(context), identity = unit.to(context);
  Tensor p = zeros(context, {rows, in}), y = zeros(context, {rows, in});
  lora_forward(context, x, identity, identity, {1.0f, options.dropout, options.seed}, p, y);
  return to_doubles(y);
}
Doubles mask_of(std::int64_t rows, std::int64_t in, const LoraOptions& options) {
  Context context = Context::cpu(1);
  return mask_of(context, rows, in, options);
}

OpCase lora_case(std::int64_t rows, std::int64_t in, std::int64_t rank, std::int64_t out, const LoraOptions& options) {
  OpCase op;
  op.name = "lora";
  op.inputs.push_back(random_tensor({rows, in}, 1));
  op.inputs.push_back(random_tensor({rank, in}, 2, 0.3));
  op.inputs.push_back(random_tensor({out, rank}, 3, 0.3));
  op.differentiated = 3;
  op.forward = [=](Context& context, const std::vector<Tensor>& x) {
    const DataType type = x[0].type();
    Tensor p({rows, rank}, type, context), y = Tensor::zeros({rows, out}, type, context);
    lora_forward(context, x[0], x[1], x[2], options, p, y);
    return y;
  };
  op.backward = [=](Context& context, const std::vector<Tensor>& x, const Tensor& dy) {
    const DataType type = x[0].type();
    Tensor p({rows, rank}, type, context), y = Tensor::zeros({rows, out}, type, context);
    lora_forward(context, x[0], x[1], x[2], options, p, y);
    std::vector<Tensor> gradients;
    gradients.push_back(Tensor::zeros(x[0].shape(), type, context));
    for (std::size_t i = 1; i < 3; ++i) gradients.push_back(zeros(context, x[i].shape()));
    lora_backward(context, dy, x[0], p, x[1], x[2], options, gradients[1], gradients[2], &gradients[0]);
    return gradients;
  };
  const Doubles mask = mask_of(rows, in, options);
  op.definition = [=](const std::vector<Doubles>& x) {
    const auto wide = static_cast<std::size_t>(in), low = static_cast<std::size_t>(rank),
               high = static_cast<std::size_t>(out);
    Doubles y(static_cast<std::size_t>(rows) * high), p(static_cast<std::size_t>(rows) * low);
    for (std::size_t i = 0; i < p.size(); ++i) {
      const std::size_t row = i / low * wide;
      for (std::size_t c = 0; c < wide; ++c) p[i] += mask[row + c] * x[0][row + c] * x[1][i % low * wide + c];
    }
    for (std::size_t i = 0; i < y.size(); ++i) {
      for (std::size_t r = 0; r < low; ++r)
        y[i] += static_cast<double>(options.scaling) * p[i / high * low + r] * x[2][i % high * low + r];
    }
    return y;
  };
  return op;
}

TEST(Lora, MatchesItsDefinition) {
  check_op(lora_case(1, 5, 1, 3, {.scaling = 2.0f}));
  check_op(lora_case(11, 37, 4, 21, {.scaling = 0.5f}));
  check_op(lora_case(70, 72, 16, 136, {.scaling = 0.5f}));
  check_op(lora_case(9, 40, 70, 24, {.scaling = 0.25f}));
}

TEST(Lora, Float32MatricesServe16BitActivations) {
  OpCase op = lora_case(9, 24, 8, 16, {.scaling = 0.5f});
  op.float32_inputs = {1, 2};
  op.steps = op.gradient_steps = 6.0;  // they are rounded to 16 bits on their way
  check_op(op);
}

// Columns that several blocks share where the rows are few, and rows that are summed piece by piece.
TEST(Lora, LongRowsAndManyOfThemMatchTheDefinition) {
  check_op(lora_case(3, 600, 2, 5, {.scaling = 0.5f}));
  OpCase many = lora_case(1030, 5, 2, 3, {.scaling = 0.1f});
  many.in_16_bits = false;
  check_op(many);
}

TEST(Lora, DropoutUsesTheSameMaskInBothDirections) {
  check_op(lora_case(6, 20, 3, 7, {.scaling = 1.5f, .dropout = 0.4f, .seed = 11}));
}

TEST(Lora, EveryDeviceDropsTheSameElements) {
  const LoraOptions options{1.0f, 0.3f, 77};
  for (Context& context : contexts())
    EXPECT_EQ(mask_of(context, 70, 33, options), mask_of(70, 33, options)) << describe(context);
}

TEST(Lora, DropsTheShareItPromisesAndKeepsTheMean) {
  const Doubles mask = mask_of(100, 60, {1.0f, 0.25f, 5});
  double kept = 0.0, mean = 0.0;
  for (const double value : mask) {
    kept += value > 0.0 ? 1.0 / 6000 : 0.0;
    mean += value / 6000;
  }
  EXPECT_NEAR(kept, 0.75, 0.025);
  EXPECT_NEAR(mean, 1.0, 0.035);
  EXPECT_NE(mask, mask_of(100, 60, {1.0f, 0.25f, 6}));
}

TEST(Lora, GradientsAddUpAndNoRowsChangeNothing) {
  for (Context& context : contexts()) {
    const Tensor x = zeros(context, {0, 5}), a = random_tensor({2, 5}, 1).to(context);
    const Tensor b = random_tensor({3, 2}, 2).to(context);
    Tensor p = zeros(context, {0, 2}), y = zeros(context, {0, 3});
    lora_forward(context, x, a, b, {}, p, y);
    Tensor da = a.clone(), db = b.clone();
    lora_backward(context, y, x, p, a, b, {}, da, db, nullptr);
    EXPECT_TRUE(test_support::same_bits(a, da));
    EXPECT_TRUE(test_support::same_bits(b, db));
  }
}

TEST(Lora, RefusesRanksThatDiffer) {
  Context context = Context::cpu(1);
  Tensor x({4, 5}), a({2, 5}), b({3, 3}), p({4, 2}), y({4, 3});
  expect_refused([&] { lora_forward(context, x, a, b, {}, p, y); }, {"lora_forward", "b", "[3, 3]", "[3, 2]"});
  Tensor good({3, 2});
  expect_refused([&] { lora_forward(context, x, a, good, {.dropout = 1.0f}, p, y); }, {"dropout"});
}

}  // namespace
}  // namespace kernels
