#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "kernels/ops/adamw.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/sample.h"
#include "kernels/ops/sgd.h"
#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::contexts;
using test_support::describe;
using test_support::Doubles;
using test_support::expect_close;
using test_support::expect_refused;
using test_support::like;
using test_support::random_tensor;
using test_support::to_doubles;
using test_support::zeros;

// What `context` computes with.
std::vector<DataType> activation_types(const Context& context) {
  if (context.is_cuda()) return {DataType::kFloat32, DataType::kBFloat16, DataType::kFloat16};
  return {DataType::kFloat32};
}

TEST(Embedding, CopiesRowsAndAddsRepeatedGradients) {
  for (Context& context : contexts()) {
    for (const DataType type : activation_types(context)) {
      for (const std::int64_t channels : {70, 72}) {
        const Tensor table = random_tensor({5, channels}, 1).cast_to(type).to(context);
        const Tensor ids = Tensor::from<std::int32_t>({4, 0, -1, 4}).to(context);
        Tensor y({4, channels}, type, context);
        embedding_forward(context, table, ids, y);
        EXPECT_EQ(to_doubles(y.slice_rows(0, 1)), to_doubles(table.slice_rows(4, 5))) << describe(context);
        EXPECT_EQ(to_doubles(y.slice_rows(2, 3)), Doubles(static_cast<std::size_t>(channels)));
        const Tensor dy = random_tensor({4, channels}, 2).cast_to(type);
        Tensor dtable = zeros(context, {5, channels});
        embedding_backward(context, ids, dy.to(context), dtable);
        const Doubles gradients = to_doubles(dtable), parts = to_doubles(dy);
        const auto width = static_cast<std::size_t>(channels);
        for (std::size_t c = 0; c < width; ++c) {
          EXPECT_EQ(gradients[4 * width + c],
                    static_cast<double>(static_cast<float>(parts[c]) + static_cast<float>(parts[3 * width + c])));
          EXPECT_EQ(gradients[width + c], 0.0);
        }
      }
    }
  }
}

TEST(Embedding, ManyTokensOfFewRowsAddUpInOrder) {
  for (Context& context : contexts()) {
    std::vector<std::int32_t> ids;
    for (int n = 0; n < 150; ++n) ids.push_back(n * n % 7);
    const Tensor dy = random_tensor({150, 40}, 2);
    Tensor dtable = zeros(context, {7, 40}), again = zeros(context, {7, 40});
    embedding_backward(context, Tensor::from(ids).to(context), dy.to(context), dtable);
    embedding_backward(context, Tensor::from(ids).to(context), dy.to(context), again);
    Tensor expected = Tensor::zeros({7, 40});
    for (std::size_t n = 0; n < 150; ++n) {
      for (std::size_t c = 0; c < 40; ++c)
        expected.values<float>()[static_cast<std::size_t>(ids[n]) * 40 + c] += dy.values<float>()[n * 40 + c];
    }
    EXPECT_EQ(to_doubles(dtable), to_doubles(expected)) << describe(context);
    EXPECT_TRUE(test_support::same_bits(dtable, again));
  }
}

TEST(Embedding, AnIdThatOnlyTheDeviceSeesIsRefusedAtTheNextSynchronisation) {
  for (Context& context : contexts()) {
    if (!context.is_cuda()) continue;
    const Tensor table = random_tensor({3, 8}, 1).to(context), ids = Tensor::from<std::int32_t>({1, 3}).to(context);
    Tensor y({2, 8}, DataType::kFloat32, context);
    embedding_forward(context, table, ids, y);
    expect_refused([&] { context.synchronise(); }, {"embedding", "id 3", "3"});
    context.synchronise();
    EXPECT_EQ(to_doubles(y.slice_rows(1, 2)), Doubles(8));
  }
}

TEST(Embedding, WidensABFloat16TableAndRefusesUnknownIds) {
  const Tensor table = random_tensor({3, 9}, 1).cast_to(DataType::kBFloat16);
  for (Context& each : contexts()) {
    Tensor y({1, 9}, DataType::kFloat32, each);
    embedding_forward(each, table.to(each), Tensor::from<std::int32_t>({2}).to(each), y);
    EXPECT_EQ(to_doubles(y), to_doubles(table.slice_rows(2, 3))) << describe(each);
  }
  Context context = Context::cpu(1);
  Tensor y({1, 9});
  expect_refused([&] { embedding_forward(context, table, Tensor::from<std::int32_t>({3}), y); },
                 {"embedding_forward", "id 3"});
}

TEST(EmbeddingBag, IsAWeightedSumOfRowsAndItsGradientGoesBackByTheSameWeights) {
  for (Context& context : contexts()) {
    const Tensor table = random_tensor({6, 40}, 1), dy = random_tensor({3, 40}, 2);
    const Tensor weights = Tensor::from<float>({0.5f, -2.0f, 3.0f, 0.25f}).to(context);
    const Tensor ids = Tensor::from<std::int32_t>({4, 1, 4, 0}).to(context);
    const Tensor borders = Tensor::from<std::int32_t>({0, 3, 3, 4}).to(context);
    Tensor output({3, 40}, DataType::kFloat32, context), gradient = zeros(context, {6, 40});
    embedding_bag_forward(context, table.to(context), ids, borders, weights, output);
    embedding_bag_backward(context, ids, borders, weights, dy.to(context), gradient);
    const Tensor y = output.to_host(), dtable = gradient.to_host();
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
  for (Context& context : contexts()) {
    Tensor a = random_tensor({20001}, 1).to(context), b = random_tensor({7}, 2).to(context);
    Tensor ma = zeros(context, {20001}), mb = zeros(context, {7}), va = zeros(context, {20001});
    Tensor vb = zeros(context, {7});
    Doubles expected = to_doubles(a), m(20001), v(20001), other = to_doubles(b);
    for (std::int64_t step = 1; step <= 3; ++step) {
      const Tensor gradient = random_tensor({20001}, 10 + static_cast<std::uint64_t>(step));
      const Tensor ga = gradient.to(context), gb = zeros(context, {7});
      const std::array<AdamWTensor, 2> tensors{AdamWTensor{&a, &ga, &ma, &va, 2.0f, true},
                                               AdamWTensor{&b, &gb, &mb, &vb, 1.0f, false}};
      adamw_step(context, tensors, options, step, 0.5f);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const double g = 0.5 * static_cast<double>(gradient.values<float>()[i]);
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        const double mean = m[i] / (1.0 - std::pow(0.9, step)), square = v[i] / (1.0 - std::pow(0.999, step));
        expected[i] -= 0.02 * (mean / (std::sqrt(square) + 1e-8) + 0.1 * expected[i]);
      }
    }
    expect_close(to_doubles(a), expected, 2e-6, "value on " + describe(context));
    EXPECT_EQ(to_doubles(b), other);  // no gradient, no decay
  }
}

// More tensors than one launch takes, of many sizes, some of them empty.
TEST(AdamW, ManyTensorsAreSteppedLikeEachAlone) {
  for (Context& context : contexts()) {
    std::vector<Tensor> values, gradients, first, second;
    std::vector<AdamWTensor> tensors;
    for (std::int64_t t = 0; t < 100; ++t) {
      const Shape shape{t % 10 == 3 ? 0 : t % 7 == 0 ? 5000 + t : t + 1};
      values.push_back(random_tensor(shape, static_cast<std::uint64_t>(t)).to(context));
      gradients.push_back(random_tensor(shape, static_cast<std::uint64_t>(1000 + t)).to(context));
      first.push_back(zeros(context, shape));
      second.push_back(zeros(context, shape));
    }
    for (std::size_t t = 0; t < 100; ++t) tensors.push_back({&values[t], &gradients[t], &first[t], &second[t]});
    adamw_step(context, tensors, {.learning_rate = 0.1f}, 1);
    for (std::size_t t = 0; t < 100; ++t) {
      const Doubles before = to_doubles(random_tensor(values[t].shape(), t)), after = to_doubles(values[t]);
      const Doubles gradient = to_doubles(gradients[t]);
      for (std::size_t i = 0; i < before.size(); ++i)  // the first step is lr times the sign of the gradient
        ASSERT_NEAR(after[i], before[i] - (gradient[i] > 0 ? 0.1 : -0.1), 1e-3) << t << " on " << describe(context);
    }
    std::vector<const Tensor*> all;
    double squares = 0.0;
    for (const Tensor& gradient : gradients) {
      all.push_back(&gradient);
      for (const double x : to_doubles(gradient)) squares += x * x;
    }
    EXPECT_NEAR(global_norm(context, all), std::sqrt(squares), 1e-9 * squares);
  }
}

TEST(AdamW, ClippingOnTheDeviceIsClippingByTheHostAndSkipsWhatIsNotFinite) {
  for (Context& context : contexts()) {
    const Tensor start = random_tensor({300}, 1).to(context), slope = random_tensor({300}, 2, 5.0).to(context);
    Tensor by_host = start.clone(), by_device = start.clone(), norm = zeros(context, {1});
    Tensor skipped = Tensor::zeros({1}, DataType::kInt32, context);
    std::vector<Tensor> moments;
    for (int i = 0; i < 4; ++i) moments.push_back(zeros(context, {300}));
    const std::array<const Tensor*, 1> gradient{&slope};
    const AdamWOptions options{.learning_rate = 0.01f, .epsilon = 0.5f};  // large, so that the scale matters
    const std::array<AdamWTensor, 1> first{AdamWTensor{&by_host, &slope, &moments[0], &moments[1]}};
    const std::array<AdamWTensor, 1> second{AdamWTensor{&by_device, &slope, &moments[2], &moments[3]}};
    adamw_step(context, first, options, 1, clip_factor(global_norm(context, gradient), 1.0));
    global_norm(context, gradient, norm);
    clipped_adamw_step(context, second, options, 1, norm, 1.0f, skipped);
    expect_close(to_doubles(by_device), to_doubles(by_host), 1e-6, "value on " + describe(context));
    EXPECT_EQ(skipped.to_host().data<std::int32_t>()[0], 0);
    const Doubles before = to_doubles(by_device), moment = to_doubles(moments[2]);
    const Tensor bad = Tensor::from<float>({std::numeric_limits<float>::quiet_NaN()}).to(context);
    clipped_adamw_step(context, second, options, 2, bad, 1.0f, skipped);
    EXPECT_EQ(to_doubles(by_device), before);
    EXPECT_EQ(to_doubles(moments[2]), moment);
    EXPECT_EQ(skipped.to_host().data<std::int32_t>()[0], 1);
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
  for (Context& context : contexts()) {
    const Tensor bad = Tensor::from<float>({std::numeric_limits<float>::infinity()}).to(context);
    const std::array<const Tensor*, 1> only{&bad};
    EXPECT_FALSE(std::isfinite(global_norm(context, only)));
  }
}

TEST(Sgd, FollowsItsFormulaOverManyTensors) {
  const SgdOptions options{.learning_rate = 0.1f, .momentum = 0.8f, .weight_decay = 0.05f};
  for (Context& context : contexts()) {
    std::vector<Tensor> values, gradients, momenta;
    std::vector<SgdTensor> tensors;
    std::vector<Doubles> expected, moments;
    for (std::size_t t = 0; t < 60; ++t) {
      const Shape shape{t == 5 ? 0 : t == 7 ? 9000 : static_cast<std::int64_t>(t) + 1};
      values.push_back(random_tensor(shape, t).to(context));
      gradients.push_back(random_tensor(shape, 100 + t).to(context));
      momenta.push_back(zeros(context, shape));
      expected.push_back(to_doubles(values.back()));
      moments.emplace_back(expected.back().size());
    }
    for (std::size_t t = 0; t < 60; ++t)
      tensors.push_back({&values[t], &gradients[t], &momenta[t], t % 2 == 0 ? 1.0f : 2.0f, t % 3 != 0});
    for (int step = 0; step < 2; ++step) sgd_step(context, tensors, options, 0.5f);
    for (std::size_t t = 0; t < 60; ++t) {
      const Doubles gradient = to_doubles(gradients[t]);
      const double rate = t % 2 == 0 ? 0.1 : 0.2, decay = t % 3 != 0 ? 0.05 : 0.0;
      for (int step = 0; step < 2; ++step) {
        for (std::size_t i = 0; i < gradient.size(); ++i) {
          moments[t][i] = 0.8 * moments[t][i] + 0.5 * gradient[i] + decay * expected[t][i];
          expected[t][i] -= rate * moments[t][i];
        }
      }
      expect_close(to_doubles(values[t]), expected[t], 1e-6, "value on " + describe(context));
      expect_close(to_doubles(momenta[t]), moments[t], 1e-6, "momentum on " + describe(context));
    }
  }
}

TEST(AdamW, RefusesTensorsThatDoNotMatchAndStepZero) {
  Context context = Context::cpu(1);
  Tensor value({3}), gradient({2}), m({3}), v({3});
  const std::array<AdamWTensor, 1> tensors{AdamWTensor{&value, &gradient, &m, &v}};
  expect_refused([&] { adamw_step(context, tensors, {}, 1); }, {"adamw_step", "gradient", "[2]", "3"});
  expect_refused([&] { adamw_step(context, tensors, {}, 0); }, {"step 0"});
}

TEST(Elementwise, SmallOperationsDoWhatTheirNamesSay) {
  for (Context& context : contexts()) {
    for (const DataType type : activation_types(context)) {
      Tensor y = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2}).cast_to(type).to(context);
      const Tensor x = Tensor::from<float>({1, 1, 1, 2, 2, 2}, {3, 2}).cast_to(type).to(context);
      const Tensor bias = Tensor::from<float>({10, 20}).to(context);
      add(context, x, y, 2.0f);
      EXPECT_EQ(to_doubles(y), (Doubles{3, 4, 5, 8, 9, 10}));
      add_bias(context, bias, y);
      EXPECT_EQ(to_doubles(y), (Doubles{13, 24, 15, 28, 19, 30}));
      Tensor total = Tensor::from<float>({1, 1}).to(context);
      sum_rows(context, y, total);
      EXPECT_EQ(to_doubles(total), (Doubles{48, 83}));
      scale(context, y, 2.0f);
      EXPECT_EQ(to_doubles(y), (Doubles{26, 48, 30, 56, 38, 60}));
      Tensor product = like(context, y), wide = zeros(context, {3, 2});
      multiply(context, x, y, product);
      EXPECT_EQ(to_doubles(product), (Doubles{26, 48, 30, 112, 76, 120}));
      cast(context, product, wide);
      EXPECT_EQ(to_doubles(wide), to_doubles(product));
      multiply_columns(context, x, bias, product, 1.0f);
      EXPECT_EQ(to_doubles(product), (Doubles{36, 68, 40, 152, 96, 160}));
      dot_columns(context, x, x, total);
      EXPECT_EQ(to_doubles(total), (Doubles{48 + 6, 83 + 9}));
      Tensor capped = Tensor::from<float>({-100, 0, 100}).cast_to(type).to(context);
      softcap(context, capped, 4.0f);
      EXPECT_EQ(to_doubles(capped), (Doubles{-4, 0, 4}));
    }
  }
}

TEST(Elementwise, ColumnSumsOfManyRowsAreThoseOfTheDefinition) {
  for (Context& context : contexts()) {
    const Tensor x = random_tensor({333, 45}, 1);
    Tensor total = zeros(context, {45}), again = zeros(context, {45});
    sum_rows(context, x.to(context), total, 0.5f);
    sum_rows(context, x.to(context), again, 0.5f);
    Doubles expected(45);
    for (std::size_t i = 0; i < 333 * 45; ++i) expected[i % 45] += 0.5 * static_cast<double>(x.values<float>()[i]);
    expect_close(to_doubles(total), expected, 2e-6, "total on " + describe(context));
    EXPECT_TRUE(test_support::same_bits(total, again));
  }
}

TEST(Elementwise, CastsRoundAsTheHostDoes) {
  const Tensor x = random_tensor({515}, 1);
  for (Context& context : contexts()) {
    for (const DataType type : {DataType::kBFloat16, DataType::kFloat16}) {
      Tensor narrow({515}, type, context), wide = zeros(context, {515});
      cast(context, x.to(context), narrow);
      EXPECT_TRUE(test_support::same_bits(narrow, x.cast_to(type))) << describe(context);
      cast(context, narrow, wide);
      EXPECT_EQ(to_doubles(wide), to_doubles(narrow));
    }
  }
}

TEST(Elementwise, GatherAndScatterAreEachOthersGradient) {
  for (Context& context : contexts()) {
    for (const DataType type : activation_types(context)) {
      const Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2}).cast_to(type).to(context);
      const Tensor rows = Tensor::from<std::int32_t>({2, 0}).to(context);
      Tensor picked({2, 2}, type, context);
      Tensor back = Tensor::zeros({3, 2}, type, context);
      gather_rows(context, x, rows, picked);
      EXPECT_EQ(to_doubles(picked), (Doubles{5, 6, 1, 2}));
      scatter_rows(context, picked, rows, back);
      scatter_add_rows(context, picked, rows, back);
      EXPECT_EQ(to_doubles(back), (Doubles{2, 4, 0, 0, 10, 12}));
      scatter_add_rows(context, picked, Tensor::from<std::int32_t>({1, 1}).to(context), back);
      EXPECT_EQ(to_doubles(back), (Doubles{2, 4, 6, 8, 10, 12}));
      expect_refused(
          [&] {
            gather_rows(context, x, Tensor::from<std::int32_t>({3, 0}).to(context), picked);
            context.synchronise();
          },
          {"gather", "row 3"});
    }
  }
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

// Many rows of every kind of option, on every device beside the row alone on the CPU with the same number.
TEST(Sampling, EveryDeviceDrawsTheSameTokensFromTheSameNumbers) {
  constexpr std::int64_t kTokens = 700;
  std::vector<std::int32_t> before;
  for (std::int32_t n = 0; n < 60; ++n) before.push_back(n * n % 37);
  std::vector<std::uint64_t> allowed(8);  // what lies beyond is not allowed
  for (std::size_t w = 0; w < allowed.size(); ++w) allowed[w] = 0x5a5a0ff012345678ull * (w + 1);
  const std::vector<SampleOptions> kinds{{},
                                         {.temperature = 0.0f},
                                         {.temperature = 0.7f, .top_k = 40},
                                         {.top_p = 0.8f},
                                         {.temperature = 1.5f, .min_p = 0.05f},
                                         {.temperature = 0.9f, .top_k = 100, .top_p = 0.9f, .min_p = 0.01f},
                                         {.repetition_penalty = 1.3f, .no_repeat_ngram = 2, .top_p = 0.95f},
                                         {.repetition_penalty = 0.5f, .temperature = 0.0f},
                                         {.top_k = 1},
                                         {.top_k = 5000, .typical_p = 1.0f}};
  Tensor logits = random_tensor({40, kTokens}, 1, 2.0);
  for (std::int64_t i = 0; i < logits.count(); ++i) {
    float& value = logits.data<float>()[i];
    value = std::round(value * 16.0f) / 16.0f;  // many equals, 0 and -0 among them
    if (i % 97 == 5) value = -std::numeric_limits<float>::infinity();
    if (i % 89 == 3) value = std::numeric_limits<float>::quiet_NaN();
  }
  Random random(3);
  std::vector<SampleRow> rows;
  for (std::size_t n = 0; n < 40; ++n) {
    rows.push_back({kinds[n % kinds.size()], before, {}, random.uniform()});
    if (n % 4 >= 2) rows.back().allowed = allowed;
  }
  Context host = Context::cpu(1);
  Tensor expected({40}, DataType::kInt32);
  sample_tokens(host, logits, rows, expected);
  for (Context& context : contexts()) {
    Tensor tokens({40}, DataType::kInt32, context);
    sample_tokens(context, logits.to(context), rows, tokens);
    const Tensor drawn = tokens.to_host();
    for (std::size_t n = 0; n < 40; ++n)
      EXPECT_EQ(drawn.values<std::int32_t>()[n], expected.values<std::int32_t>()[n])
          << "row " << n << " on " << describe(context);
    for (std::size_t n = 0; n < 10; ++n) {  // typical_p, and one row at a time
      SampleOptions options = kinds[n];
      if (n == 5) options.typical_p = 0.6f;
      Random left(n), right(n);
      const auto row = static_cast<std::int64_t>(n);
      const Tensor one = logits.slice_rows(row, row + 1).view({kTokens});
      EXPECT_EQ(sample_token(context, one.to(context), options, left, before),
                sample_token(host, one, options, right, before));
      EXPECT_EQ(left.state(), right.state());
    }
  }
}

TEST(Sampling, RefusesLogitsWithoutAFiniteNumber) {
  for (Context& context : contexts()) {
    Random random(1);
    const float nothing = -std::numeric_limits<float>::infinity();
    const Tensor logits = Tensor::from<float>({std::numeric_limits<float>::quiet_NaN(), nothing}).to(context);
    expect_refused([&] { sample_token(context, logits, {}, random); }, {"sample_token", "2 logits"});
  }
}

}  // namespace
}  // namespace kernels
