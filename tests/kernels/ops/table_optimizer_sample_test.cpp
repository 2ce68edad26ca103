#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "kernels/ops/adamw.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/sample.h"
#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::Doubles;
using test_support::expect_close;
using test_support::expect_refused;
using test_support::random_tensor;
using test_support::to_doubles;

TEST(Embedding, CopiesRowsAndAddsRepeatedGradients) {
  for (const int threads : {1, 2}) {
    Context context = Context::cpu(threads);
    const Tensor table = random_tensor({5, 70}, 1), ids = Tensor::from<std::int32_t>({4, 0, -1, 4});
    Tensor y({4, 70});
    embedding_forward(context, table, ids, y);
    EXPECT_EQ(to_doubles(y.slice_rows(0, 1)), to_doubles(table.slice_rows(4, 5)));
    EXPECT_EQ(to_doubles(y.slice_rows(2, 3)), Doubles(70));
    const Tensor dy = random_tensor({4, 70}, 2);
    Tensor dtable = Tensor::zeros({5, 70});
    embedding_backward(context, ids, dy, dtable);
    for (std::size_t c = 0; c < 70; ++c) {
      EXPECT_EQ(dtable.values<float>()[280 + c], dy.values<float>()[c] + dy.values<float>()[210 + c]);
      EXPECT_EQ(dtable.values<float>()[70 + c], 0.0f);
    }
  }
}

TEST(Embedding, WidensABFloat16TableAndRefusesUnknownIds) {
  Context context = Context::cpu(1);
  const Tensor table = random_tensor({3, 9}, 1).cast_to(DataType::kBFloat16);
  Tensor y({1, 9});
  embedding_forward(context, table, Tensor::from<std::int32_t>({2}), y);
  EXPECT_EQ(to_doubles(y.view({9})), to_doubles(table.slice_rows(2, 3).cast_to(DataType::kFloat32)));
  expect_refused([&] { embedding_forward(context, table, Tensor::from<std::int32_t>({3}), y); },
                 {"embedding_forward", "id 3"});
}

TEST(EmbeddingBag, IsAWeightedSumOfRowsAndItsGradientGoesBackByTheSameWeights) {
  for (const int threads : {1, 2}) {
    Context context = Context::cpu(threads);
    const Tensor table = random_tensor({6, 40}, 1), weights = Tensor::from<float>({0.5f, -2.0f, 3.0f, 0.25f});
    const Tensor ids = Tensor::from<std::int32_t>({4, 1, 4, 0}), borders = Tensor::from<std::int32_t>({0, 3, 3, 4});
    Tensor y({3, 40});
    embedding_bag_forward(context, table, ids, borders, weights, y);
    const Tensor dy = random_tensor({3, 40}, 2);
    Tensor dtable = Tensor::zeros({6, 40});
    embedding_bag_backward(context, ids, borders, weights, dy, dtable);
    const auto row = [](const Tensor& of, std::size_t n, std::size_t c) { return of.values<float>()[n * 40 + c]; };
    for (std::size_t c = 0; c < 40; ++c) {
      EXPECT_NEAR(row(y, 0, c), 3.5f * row(table, 4, c) - 2.0f * row(table, 1, c), 1e-5f);
      EXPECT_EQ(row(y, 1, c), 0.0f);
      EXPECT_EQ(row(y, 2, c), 0.25f * row(table, 0, c));
      EXPECT_NEAR(row(dtable, 4, c), 3.5f * row(dy, 0, c), 1e-5f);
      EXPECT_EQ(row(dtable, 1, c), -2.0f * row(dy, 0, c));
      EXPECT_EQ(row(dtable, 2, c), 0.0f);
    }
  }
}

TEST(EmbeddingBag, RefusesIdsAndBordersOutOfRange) {
  Context context = Context::cpu(1);
  const Tensor table = random_tensor({3, 4}, 1), weights = Tensor::from<float>({1, 1});
  Tensor y({1, 4});
  const auto bag = [&](std::vector<std::int32_t> ids, std::vector<std::int32_t> borders) {
    embedding_bag_forward(context, table, Tensor::from(ids), Tensor::from(borders), weights, y);
  };
  expect_refused([&] { bag({0, 3}, {0, 2}); }, {"embedding_bag_forward", "id 3"});
  expect_refused([&] { bag({0, -1}, {0, 2}); }, {"id -1"});
  expect_refused([&] { bag({0, 1}, {0, 1}); }, {"from 0 to 2"});
  expect_refused([&] { bag({0, 1}, {2, 0}); }, {"offset 0"});
}

TEST(AdamW, FollowsItsFormulaOverSeveralStepsAndTensors) {
  const AdamWOptions options{.learning_rate = 0.01f, .weight_decay = 0.1f};
  for (const int threads : {1, 2}) {
    Context context = Context::cpu(threads);
    Tensor a = random_tensor({20001}, 1), b = random_tensor({7}, 2), ma = Tensor::zeros({20001}),
           mb = Tensor::zeros({7});
    Tensor va = Tensor::zeros({20001}), vb = Tensor::zeros({7});
    Doubles expected = to_doubles(a), m(20001), v(20001), other = to_doubles(b);
    for (std::int64_t step = 1; step <= 3; ++step) {
      const Tensor ga = random_tensor({20001}, 10 + static_cast<std::uint64_t>(step)), gb = Tensor::zeros({7});
      const std::array<AdamWTensor, 2> tensors{AdamWTensor{&a, &ga, &ma, &va, 2.0f, true},
                                               AdamWTensor{&b, &gb, &mb, &vb, 1.0f, false}};
      adamw_step(context, tensors, options, step, 0.5f);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const double g = 0.5 * static_cast<double>(ga.values<float>()[i]);
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        const double mean = m[i] / (1.0 - std::pow(0.9, step)), square = v[i] / (1.0 - std::pow(0.999, step));
        expected[i] -= 0.02 * (mean / (std::sqrt(square) + 1e-8) + 0.1 * expected[i]);
      }
    }
    expect_close(to_doubles(a), expected, 2e-6, "value");
    EXPECT_EQ(to_doubles(b), other);  // no gradient, no decay
  }
}

TEST(AdamW, NormIsTheSameForAnyThreadCountAndClips) {
  const Tensor a = random_tensor({30000}, 1), b = Tensor::from<float>({3, 4});
  const std::array<const Tensor*, 2> both{&a, &b};
  Context one = Context::cpu(1), two = Context::cpu(2);
  double squares = 25.0;
  for (const float x : a.values<float>()) squares += static_cast<double>(x) * static_cast<double>(x);
  EXPECT_NEAR(global_norm(one, both), std::sqrt(squares), 1e-9);
  EXPECT_EQ(global_norm(one, both), global_norm(two, both));
  EXPECT_EQ(clip_factor(0.5, 1.0), 1.0f);
  EXPECT_NEAR(static_cast<double>(clip_factor(4.0, 1.0)), 0.25, 1e-6);
  EXPECT_EQ(clip_factor(4.0, 0.0), 1.0f);
  const Tensor bad = Tensor::from<float>({std::numeric_limits<float>::infinity()});
  const std::array<const Tensor*, 1> only{&bad};
  EXPECT_FALSE(std::isfinite(global_norm(one, only)));
}

TEST(AdamW, RefusesTensorsThatDoNotMatchAndStepZero) {
  Context context = Context::cpu(1);
  Tensor value({3}), gradient({2}), m({3}), v({3});
  const std::array<AdamWTensor, 1> tensors{AdamWTensor{&value, &gradient, &m, &v}};
  expect_refused([&] { adamw_step(context, tensors, {}, 1); }, {"adamw_step", "gradient", "[2]", "3"});
  expect_refused([&] { adamw_step(context, tensors, {}, 0); }, {"step 0"});
}

TEST(Elementwise, SmallOperationsDoWhatTheirNamesSay) {
  for (const int threads : {1, 2}) {
    Context context = Context::cpu(threads);
    Tensor y = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2});
    const Tensor x = Tensor::from<float>({1, 1, 1, 2, 2, 2}, {3, 2}), bias = Tensor::from<float>({10, 20});
    add(context, x, y, 2.0f);
    EXPECT_EQ(to_doubles(y), (Doubles{3, 4, 5, 8, 9, 10}));
    add_bias(context, bias, y);
    EXPECT_EQ(to_doubles(y), (Doubles{13, 24, 15, 28, 19, 30}));
    Tensor total = Tensor::from<float>({1, 1});
    sum_rows(context, y, total);
    EXPECT_EQ(to_doubles(total), (Doubles{48, 83}));
    scale(context, y, 2.0f);
    EXPECT_EQ(to_doubles(y), (Doubles{26, 48, 30, 56, 38, 60}));
  }
}

TEST(Elementwise, GatherAndScatterAreEachOthersGradient) {
  Context context = Context::cpu(2);
  const Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2}), rows = Tensor::from<std::int32_t>({2, 0});
  Tensor picked({2, 2}), back = Tensor::zeros({3, 2});
  gather_rows(context, x, rows, picked);
  EXPECT_EQ(to_doubles(picked), (Doubles{5, 6, 1, 2}));
  scatter_rows(context, picked, rows, back);
  scatter_add_rows(context, picked, rows, back);
  EXPECT_EQ(to_doubles(back), (Doubles{2, 4, 0, 0, 10, 12}));
  expect_refused(
      [&] {
        gather_rows(context, x, Tensor::from<std::int32_t>({3, 0}), picked);
      },
      {"gather_rows", "row 3"});
}

TEST(Sampling, GreedyTakesTheLargestAndDrawsNothing) {
  Context context = Context::cpu(1);
  Random random(1);
  const Tensor logits = Tensor::from<float>({0, 3, 3, -std::numeric_limits<float>::infinity()});
  EXPECT_EQ(sample_token(context, logits, {.temperature = 0.0f}, random), 1);
  EXPECT_EQ(random.state().counter, 0u);
}

TEST(Sampling, FrequenciesFollowTheProbabilities) {
  Context context = Context::cpu(1);
  Random random(2);
  const Tensor logits = Tensor::from<float>({std::log(0.1f), std::log(0.6f), std::log(0.3f)});
  std::array<int, 3> seen{};
  for (int i = 0; i < 20000; ++i) ++seen[static_cast<std::size_t>(sample_token(context, logits, {}, random))];
  EXPECT_NEAR(seen[0] / 20000.0, 0.1, 0.01);
  EXPECT_NEAR(seen[1] / 20000.0, 0.6, 0.015);
  EXPECT_EQ(random.state().counter, 20000u);
}

TEST(Sampling, TopKAndTopPKeepOnlyTheHead) {
  Context context = Context::cpu(1);
  Random random(3);
  const Tensor logits = Tensor::from<float>({std::log(0.1f), std::log(0.6f), std::log(0.3f)});
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(sample_token(context, logits, {.top_k = 1}, random), 1);
    EXPECT_EQ(sample_token(context, logits, {.top_p = 0.5f}, random), 1);
    EXPECT_NE(sample_token(context, logits, {.top_p = 0.7f}, random), 0);
    EXPECT_NE(sample_token(context, logits, {.top_k = 2, .top_p = 0.99f}, random), 0);
  }
}

TEST(Sampling, TopPOfManyDrawsFromTheWholeSmallestSetAndFromNothingElse) {
  Context context = Context::cpu(1);
  Random random(5);
  const Tensor many = random_tensor({1000}, 4);
  std::vector<std::pair<double, std::int32_t>> ranked;
  double whole = 0;
  for (std::int32_t i = 0; i < 1000; ++i) {
    ranked.emplace_back(std::exp(static_cast<double>(many.data<float>()[i])), i);
    whole += ranked.back().first;
  }
  std::sort(ranked.rbegin(), ranked.rend());
  std::set<std::int32_t> kept, drawn;
  double reached = 0;
  for (std::size_t i = 0; reached < 0.5 * whole; ++i) {
    reached += ranked[i].first;
    kept.insert(ranked[i].second);
  }
  ASSERT_GT(kept.size(), 64u);
  ASSERT_LT(kept.size(), 300u);
  for (int i = 0; i < 20000; ++i) drawn.insert(sample_token(context, many, {.top_p = 0.5f}, random));
  EXPECT_EQ(drawn, kept);
}

TEST(Sampling, RefusesLogitsWithoutAFiniteNumber) {
  Context context = Context::cpu(1);
  Random random(1);
  const Tensor logits =
      Tensor::from<float>({std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()});
  expect_refused([&] { sample_token(context, logits, {}, random); }, {"sample_token", "2 logits"});
}

}  // namespace
}  // namespace kernels
