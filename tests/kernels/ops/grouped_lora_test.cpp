#include "kernels/ops/grouped_lora.h"

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

// Adapters of some ranks beside a layer [out, in], and the rows that use them.
struct Group {
  std::vector<std::int32_t> adapters;
  std::vector<std::int64_t> first_rank;
  std::vector<LoraOptions> options;
  std::int64_t in, out;

  std::int64_t rows() const { return static_cast<std::int64_t>(adapters.size()); }
  std::int64_t ranks() const { return first_rank.back(); }
  std::int64_t most_ranks() const {
    std::int64_t most = 1;
    for (std::size_t g = 0; g + 1 < first_rank.size(); ++g) most = std::max(most, first_rank[g + 1] - first_rank[g]);
    return most;
  }
  AdapterRows plan(const Context& context) const {
    return AdapterRows(context, adapters, static_cast<std::int64_t>(options.size()));
  }
  AdapterStack stack() const { return {first_rank, options}; }
};

Group make_group(std::vector<std::int32_t> adapters, const std::vector<std::int64_t>& ranks, std::int64_t in,
                 std::int64_t out, float dropout = 0.0f) {
  Group group{std::move(adapters), {0}, {}, in, out};
  for (std::size_t g = 0; g < ranks.size(); ++g) {
    group.first_rank.push_back(group.first_rank.back() + ranks[g]);
    group.options.push_back({.scaling = 0.5f + static_cast<float>(g), .dropout = dropout, .seed = 7 + g});
  }
  return group;
}

OpCase group_case(const Group& group) {
  OpCase op;
  op.name = "grouped_lora";
  op.inputs.push_back(random_tensor({group.rows(), group.in}, 1));
  op.inputs.push_back(random_tensor({group.ranks(), group.in}, 2, 0.3));
  op.inputs.push_back(random_tensor({group.ranks(), group.out}, 3, 0.3));
  op.differentiated = 3;
  const auto forward = [=](Context& context, const std::vector<Tensor>& x, Tensor& p) {
    Tensor y = Tensor::zeros({group.rows(), group.out}, x[0].type(), context);
    grouped_lora_forward(context, group.plan(context), x[0], x[1], x[2], group.stack(), p, y);
    return y;
  };
  op.forward = [=](Context& context, const std::vector<Tensor>& x) {
    Tensor p = Tensor::zeros({group.rows(), group.most_ranks()}, x[0].type(), context);
    return forward(context, x, p);
  };
  op.backward = [=](Context& context, const std::vector<Tensor>& x, const Tensor& dy) {
    Tensor p = Tensor::zeros({group.rows(), group.most_ranks()}, x[0].type(), context);
    forward(context, x, p);
    std::vector<Tensor> gradients;
    gradients.push_back(Tensor::zeros(x[0].shape(), x[0].type(), context));
    for (std::size_t i = 1; i < 3; ++i) gradients.push_back(zeros(context, x[i].shape()));
    grouped_lora_backward(context, group.plan(context), dy, x[0], p, x[1], x[2], group.stack(), gradients[1],
                          gradients[2], &gradients[0]);
    return gradients;
  };
  op.definition = [group](const std::vector<Doubles>& x) {
    const auto in = static_cast<std::size_t>(group.in), out = static_cast<std::size_t>(group.out);
    Doubles y(static_cast<std::size_t>(group.rows()) * out);
    for (std::size_t n = 0; n < group.adapters.size(); ++n) {
      if (group.adapters[n] < 0) continue;
      const auto g = static_cast<std::size_t>(group.adapters[n]);
      const auto first = static_cast<std::size_t>(group.first_rank[g]);
      const auto rank = static_cast<std::size_t>(group.first_rank[g + 1]) - first;
      for (std::size_t r = 0; r < rank; ++r) {
        double p = 0.0;
        for (std::size_t c = 0; c < in; ++c) p += x[0][n * in + c] * x[1][(first + r) * in + c];
        for (std::size_t o = 0; o < out; ++o)
          y[n * out + o] += static_cast<double>(group.options[g].scaling) * p * x[2][first * out + o * rank + r];
      }
    }
    return y;
  };
  return op;
}

TEST(GroupedLora, MatchesItsDefinition) {
  check_op(group_case(make_group({1, 0, 1, 2, -1, 0, 1}, {3, 5, 1}, 11, 7)));
  check_op(group_case(make_group({2, 2, 0, 2, 0}, {8, 4, 0}, 24, 16)));  // one has no rows, one no rank
  check_op(group_case(make_group({0, 1, 1}, {16, 70}, 40, 72)));
}

// More adapters than one launch takes, and more rows of one than a tile has.
TEST(GroupedLora, ManyAdaptersMatchTheDefinition) {
  std::vector<std::int32_t> adapters;
  for (std::int32_t n = 0; n < 170; ++n) adapters.push_back(n < 70 ? 3 : n * 7 % 45);
  OpCase op = group_case(make_group(std::move(adapters), std::vector<std::int64_t>(45, 2), 9, 8));
  op.in_16_bits = false;
  check_op(op);
}

// The promise of the header, to the bit, on every device and in every type that it computes with.
void expect_each_adapter_alone(Context& context, const Group& group, DataType type) {
  const Tensor x = random_tensor({group.rows(), group.in}, 1).cast_to(type),
               dy = random_tensor({group.rows(), group.out}, 4).cast_to(type);
  const Tensor a = random_tensor({group.ranks(), group.in}, 2, 0.3).to(context);
  const Tensor b = random_tensor({group.ranks(), group.out}, 3, 0.3).to(context);
  const AdapterRows plan = group.plan(context);
  Tensor p = Tensor::zeros({group.rows(), group.most_ranks()}, type, context);
  Tensor y = Tensor::zeros({group.rows(), group.out}, type, context);
  Tensor dx = Tensor::zeros({group.rows(), group.in}, type, context);
  Tensor da = zeros(context, a.shape()), db = zeros(context, b.shape());
  grouped_lora_forward(context, plan, x.to(context), a, b, group.stack(), p, y);
  grouped_lora_backward(context, plan, dy.to(context), x.to(context), p, a, b, group.stack(), da, db, &dx);
  const Tensor all_y = y.to_host(), all_dx = dx.to_host();
  for (std::int64_t g = 0; g < plan.adapters(); ++g) {
    const auto at = static_cast<std::size_t>(g);
    const std::int64_t first = group.first_rank[at], last = group.first_rank[at + 1], rank = last - first;
    const auto rows = plan.rows_of(g);
    const auto count = static_cast<std::int64_t>(rows.size());
    Tensor own_x({count, group.in}, type), own_dy({count, group.out}, type);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t row = rows[static_cast<std::size_t>(i)];
      own_x.slice_rows(i, i + 1).copy_from(x.slice_rows(row, row + 1));
      own_dy.slice_rows(i, i + 1).copy_from(dy.slice_rows(row, row + 1));
    }
    const Tensor own_a = a.slice_rows(first, last).view({rank, group.in});
    const Tensor own_b = b.slice_rows(first, last).view({group.out, rank});
    Tensor own_p = Tensor::zeros({count, rank}, type, context),
           own_y = Tensor::zeros({count, group.out}, type, context);
    Tensor own_dx = Tensor::zeros({count, group.in}, type, context);
    Tensor own_da = zeros(context, {rank, group.in}), own_db = zeros(context, {group.out, rank});
    lora_forward(context, own_x.to(context), own_a, own_b, group.options[at], own_p, own_y);
    lora_backward(context, own_dy.to(context), own_x.to(context), own_p, own_a, own_b, group.options[at], own_da,
                  own_db, &own_dx);
    const std::string what = describe(context) + " in " + name_of(type) + ", adapter " + std::to_string(g);
    EXPECT_EQ(to_doubles(own_da), to_doubles(da.slice_rows(first, last))) << what;
    EXPECT_EQ(to_doubles(own_db), to_doubles(db.slice_rows(first, last))) << what;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t row = rows[static_cast<std::size_t>(i)];
      EXPECT_EQ(to_doubles(own_y.slice_rows(i, i + 1)), to_doubles(all_y.slice_rows(row, row + 1))) << what;
      EXPECT_EQ(to_doubles(own_dx.slice_rows(i, i + 1)), to_doubles(all_dx.slice_rows(row, row + 1))) << what;
    }
  }
}

TEST(GroupedLora, EachAdapterGetsWhatItGetsAloneToTheBit) {
  const Group group = make_group({1, 0, 1, 2, -1, 0, 1, 2}, {4, 7, 2}, 530, 24, 0.3f);
  for (Context& context : contexts()) {
    expect_each_adapter_alone(context, group, DataType::kFloat32);
    if (context.is_cuda()) expect_each_adapter_alone(context, group, DataType::kBFloat16);
  }
}

TEST(GroupedLora, RowsWithoutAnAdapterAndBatchesWithoutRowsChangeNothing) {
  for (Context& context : contexts()) {
    for (const std::size_t rows : {std::size_t{0}, std::size_t{3}}) {
      const Group group = make_group(std::vector<std::int32_t>(rows, AdapterRows::kNoAdapter), {2}, 5, 4);
      const Tensor x = random_tensor({group.rows(), 5}, 1).to(context), a = random_tensor({2, 5}, 2).to(context);
      const Tensor b = random_tensor({2, 4}, 3).to(context), before = random_tensor({group.rows(), 4}, 4).to(context);
      Tensor p = zeros(context, {group.rows(), 2}), y = before.clone(), da = a.clone(), db = b.clone();
      grouped_lora_forward(context, group.plan(context), x, a, b, group.stack(), p, y);
      grouped_lora_backward(context, group.plan(context), before, x, p, a, b, group.stack(), da, db, nullptr);
      EXPECT_TRUE(test_support::same_bits(y, before));
      EXPECT_TRUE(test_support::same_bits(da, a));
      EXPECT_TRUE(test_support::same_bits(db, b));
    }
  }
}

TEST(GroupedLora, RefusesAdaptersAndStacksThatCannotBe) {
  Context context = Context::cpu(1);
  const std::vector<std::int32_t> unknown{0, 2};
  expect_refused([&] { AdapterRows(context, unknown, 2); }, {"adapter 2", "one of 2"});
  Group group = make_group({0, 1}, {2, 3}, 5, 4);
  const AdapterRows plan = group.plan(context);
  const Tensor x({2, 5}), a({5, 5}), b({5, 4});
  Tensor narrow({2, 2}), p({2, 3}), y({2, 4});
  expect_refused([&] { grouped_lora_forward(context, plan, x, a, b, group.stack(), narrow, y); },
                 {"grouped_lora_forward", "p", "[2, 2]", "[2, 3]"});
  group.first_rank.back() = 4;
  expect_refused([&] { grouped_lora_forward(context, plan, x, a, b, group.stack(), p, y); }, {"ranks", "5"});
  group.options.pop_back();
  expect_refused([&] { grouped_lora_forward(context, plan, x, a, b, group.stack(), p, y); }, {"2 adapters"});
}

}  // namespace
}  // namespace kernels
