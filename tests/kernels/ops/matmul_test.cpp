#include "kernels/ops/matmul.h"

#include <limits>

#include "kernels/core/error.h"
#include "kernels/cpu/reference.h"
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

// [n, in] times [out, in] transposed.
Doubles linear_definition(const Doubles& x, const Doubles& w, std::size_t in, std::size_t out) {
  Doubles y(x.size() / in * out);
  for (std::size_t i = 0; i < y.size(); ++i) {
    for (std::size_t p = 0; p < in; ++p) y[i] += x[i / out * in + p] * w[i % out * in + p];
  }
  return y;
}

OpCase linear_case(std::int64_t rows, std::int64_t in, std::int64_t out) {
  OpCase op;
  op.name = "linear " + shape_to_string(Shape{rows, in, out});
  op.inputs.push_back(random_tensor({rows, in}, 1));
  op.inputs.push_back(random_tensor({out, in}, 2));
  op.differentiated = 2;
  op.forward = [=](Context& context, const std::vector<Tensor>& inputs) {
    Tensor nothing({rows, out});
    std::fill_n(nothing.data<float>(), rows * out, std::numeric_limits<float>::quiet_NaN());
    Tensor y = nothing.cast_to(inputs[0].type()).to(context);  // beta 0 must not read it
    linear(context, inputs[0], PackedWeight(inputs[1].view()), y);
    return y;
  };
  op.backward = [=](Context& context, const std::vector<Tensor>& inputs, const Tensor& dy) {
    std::vector<Tensor> gradients;
    gradients.push_back(like(context, inputs[0]));
    gradients.push_back(zeros(context, {out, in}));
    linear_backward_input(context, dy, PackedWeight(inputs[1].view()), gradients[0]);
    linear_backward_weight(context, dy, inputs[0], gradients[1]);
    return gradients;
  };
  op.definition = [=](const std::vector<Doubles>& inputs) {
    return linear_definition(inputs[0], inputs[1], static_cast<std::size_t>(in), static_cast<std::size_t>(out));
  };
  return op;
}

TEST(Linear, MatchesItsDefinitionForFewAndManyRows) {
  for (const std::int64_t rows : {1, 3, 4, 5, 33}) check_op(linear_case(rows, 37, 21));
  check_op(linear_case(70, 64, 130));
}

TEST(Linear, AFloat32WeightServes16BitActivations) {
  OpCase op = linear_case(9, 24, 16);
  op.float32_inputs = {1};
  op.steps = op.gradient_steps = 8.0;  // the weight is rounded to 16 bits on its way
  check_op(op);
}

TEST(Linear, AcceptsNoRows) {
  for (Context& context : contexts()) {
    const PackedWeight weight(random_tensor({8, 4}, 1).to(context));
    Tensor x = zeros(context, {0, 4}), y = zeros(context, {0, 8});
    linear(context, x, weight, y);
    linear_backward_input(context, y, weight, x);
    Tensor dweight = random_tensor({8, 4}, 2).to(context);
    const Tensor before = dweight.clone();
    linear_backward_weight(context, y, x, dweight);
    EXPECT_TRUE(test_support::same_bits(before, dweight));
  }
}

TEST(Linear, ABFloat16WeightGivesWhatItsWidenedCopyGives) {
  Context context = Context::cpu(2);
  // More elements than are widened at a time, so several blocks are joined.
  const Tensor narrow = random_tensor({1500, 1024}, 1, 0.05).cast_to(DataType::kBFloat16);
  const PackedWeight packed(narrow.view()), wide(narrow.cast_to(DataType::kFloat32));
  for (const std::int64_t rows : {2, 9}) {
    const Tensor x = random_tensor({rows, 1024}, 3);
    Tensor y = random_tensor({rows, 1500}, 4), expected = y.clone();
    linear(context, x, packed, y, 1.0f);
    linear(context, x, wide, expected, 1.0f);
    expect_close(to_doubles(y), to_doubles(expected), 1e-5, "y");
    Tensor dx = random_tensor({rows, 1024}, 5), expected_dx = dx.clone();
    linear_backward_input(context, y, packed, dx, 1.0f);
    linear_backward_input(context, y, wide, expected_dx, 1.0f);
    expect_close(to_doubles(dx), to_doubles(expected_dx), 1e-5, "dx");
  }
}

TEST(Matmul, EveryTransposeMatchesTheDefinition) {
  const std::int64_t m = 17, n = 23, k = 9;
  for (int transposes = 0; transposes < 4; ++transposes) {
    const bool ta = transposes % 2 == 1, tb = transposes / 2 == 1;
    for (Context& context : contexts()) {
      const Tensor a = random_tensor(ta ? Shape{k, m} : Shape{m, k}, 1),
                   b = random_tensor(tb ? Shape{n, k} : Shape{k, n}, 2);
      Tensor c = random_tensor({m, n}, 3).to(context), expected = c.to_host();
      matmul(context, a.to(context), b.to(context), c,
             {.transpose_a = ta, .transpose_b = tb, .alpha = 0.5f, .beta = 2.0f});
      cpu::reference::gemm(ta, tb, m, n, k, 0.5f, a.data<float>(), a.size(1), b.data<float>(), b.size(1), 2.0f,
                           expected.data<float>(), n);
      expect_close(to_doubles(c), to_doubles(expected), 1e-5, "c on " + describe(context));
    }
  }
}

TEST(Matmul, LeadingDimensionsReachPartsOfWiderMatrices) {
  const Tensor a = random_tensor({6, 20}, 1), b = random_tensor({5, 30}, 2);
  const auto place = [](const Tensor& tensor) { return static_cast<const float*>(tensor.raw_data()); };
  for (Context& context : contexts()) {
    const Tensor left = a.to(context), right = b.to(context);
    Tensor c = random_tensor({6, 40}, 3).to(context), expected = c.to_host();
    gemm(context, false, false, 6, 7, 5, 1.0f, place(left) + 3, 20, place(right) + 2, 30, 0.0f,
         static_cast<float*>(c.raw_data()) + 11, 40);
    cpu::reference::gemm(false, false, 6, 7, 5, 1.0f, a.data<float>() + 3, 20, b.data<float>() + 2, 30, 0.0f,
                         expected.data<float>() + 11, 40);
    expect_close(to_doubles(c), to_doubles(expected), 1e-5, "c on " + describe(context));
  }
}

TEST(Matmul, RefusesShapesThatDoNotFitNamingThem) {
  Context context = Context::cpu(1);
  Tensor a({2, 3}), b({4, 5}), c({2, 5});
  expect_refused([&] { matmul(context, a, b, c); }, {"matmul", "[2, 3]", "[4, 5]"});
  Tensor y({2, 9});
  expect_refused([&] { linear(context, a, PackedWeight(Tensor({5, 3})), y); }, {"linear", "y", "[2, 9]", "[2, 5]"});
  expect_refused([&] { linear(context, a, PackedWeight(), y); }, {"linear", "empty"});
  expect_refused([&] { PackedWeight(Tensor({3}, DataType::kFloat32)); }, {"weight", "[3]"});
}

}  // namespace
}  // namespace kernels
