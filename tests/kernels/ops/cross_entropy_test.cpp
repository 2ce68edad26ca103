#include "kernels/ops/cross_entropy.h"

#include <limits>

#include "kernels/ops/elementwise.h"
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

double log_probability(const Doubles& logits, std::size_t target) {
  double total = 0.0;
  for (const double logit : logits) total += std::exp(logit);
  return logits[target] - std::log(total);
}

struct Setting {
  std::vector<std::int32_t> targets;
  std::vector<float> weights;
  std::int64_t channels, vocabulary;
  LinearCrossEntropyOptions options;
};

// The summed loss as one number, times options.scale as the gradients are.
OpCase loss_case(const Setting& s) {
  const auto rows = static_cast<std::int64_t>(s.targets.size());
  OpCase op;
  op.name = "linear_cross_entropy";
  op.inputs.push_back(random_tensor({rows, s.channels}, 1));
  op.inputs.push_back(random_tensor({s.vocabulary, s.channels}, 2));
  op.differentiated = 2;
  const auto run = [s](Context& context, const std::vector<Tensor>& in, Tensor* dhidden, Tensor* dweight) {
    const Tensor weights = Tensor::from(s.weights).to(context), targets = Tensor::from(s.targets).to(context);
    return linear_cross_entropy(context, in[0], PackedWeight(in[1].view()), targets, &weights, s.options, dhidden,
                                dweight);
  };
  op.forward = [=](Context& context, const std::vector<Tensor>& in) {
    return Tensor::from<float>({static_cast<float>(run(context, in, nullptr, nullptr).loss)});
  };
  op.backward = [=](Context& context, const std::vector<Tensor>& in, const Tensor& d_loss) {
    std::vector<Tensor> gradients;
    gradients.push_back(like(context, in[0]));
    gradients.push_back(zeros(context, in[1].shape()));
    run(context, in, &gradients[0], &gradients[1]);
    for (Tensor& gradient : gradients)
      scale(context, gradient, static_cast<float>(to_doubles(d_loss)[0]) / s.options.scale);
    return gradients;
  };
  op.definition = [s](const std::vector<Doubles>& in) {
    const auto channels = static_cast<std::size_t>(s.channels), vocabulary = static_cast<std::size_t>(s.vocabulary);
    double loss = 0.0;
    for (std::size_t n = 0; n < s.targets.size(); ++n) {
      if (s.targets[n] == kIgnoredTarget) continue;
      Doubles logits(vocabulary);
      for (std::size_t i = 0; i < vocabulary * channels; ++i)
        logits[i / channels] += in[0][n * channels + i % channels] * in[1][i];
      for (double& logit : logits) {
        logit *= static_cast<double>(s.options.logit_scale);
        const double cap = static_cast<double>(s.options.logit_softcap);
        if (cap > 0.0) logit = cap * std::tanh(logit / cap);
      }
      loss -= static_cast<double>(s.weights[n]) * log_probability(logits, static_cast<std::size_t>(s.targets[n]));
    }
    return Doubles{loss};
  };
  return op;
}

TEST(LinearCrossEntropy, MatchesItsDefinitionWithIgnoredRowsAndWeights) {
  check_op(loss_case({{3, -100, 0, 12, -100}, {1.0f, 9.0f, 0.5f, 2.0f, 1.0f}, 7, 13, {.scale = 0.25f}}));
  check_op(loss_case({{5}, {1.0f}, 3, 9, {.scale = 1.0f}}));
  check_op(
      loss_case({{1, 2, 3}, {1.0f, 1.0f, 1.0f}, 4, 33, {.scale = 0.5f, .logit_scale = 0.7f, .logit_softcap = 2.0f}}));
}

TEST(LinearCrossEntropy, ManyChunksAddUpToOneRowAtATime) {
  Context context = Context::cpu(2);
  const std::int64_t rows = 300, vocabulary = 20000, channels = 8;
  const Tensor hidden = random_tensor({rows, channels}, 1);
  const PackedWeight head(random_tensor({vocabulary, channels}, 2));
  std::vector<std::int32_t> targets;
  for (std::int64_t n = 0; n < rows; ++n)
    targets.push_back(n % 7 == 3 ? kIgnoredTarget : static_cast<std::int32_t>(61 * n % vocabulary));
  const Tensor target = Tensor::from(targets);
  Tensor dhidden({rows, channels}), row_gradient({1, channels}), log_probabilities({rows});
  const LossSum sum = linear_cross_entropy(context, hidden, head, target, nullptr, {}, &dhidden, nullptr);
  token_log_probabilities(context, hidden, head, target, {}, log_probabilities);
  double loss = 0.0;
  std::int64_t count = 0;
  for (std::int64_t n = 0; n < rows; ++n) {
    const LossSum row = linear_cross_entropy(context, hidden.slice_rows(n, n + 1), head, target.slice_rows(n, n + 1),
                                             nullptr, {}, &row_gradient, nullptr);
    loss += row.loss;
    count += row.count;
    expect_close(to_doubles(dhidden.slice_rows(n, n + 1)), to_doubles(row_gradient), 1e-5, "dhidden");
    EXPECT_NEAR(static_cast<double>(log_probabilities.data<float>()[n]), -row.loss, 1e-4);
  }
  EXPECT_NEAR(sum.loss, loss, 1e-5 * loss);
  EXPECT_EQ(sum.count, count);
}

// Chunks of gathered rows, chunks of neighbours, and one chunk: losses to the bit, gradients up to their rounding.
TEST(LinearCrossEntropy, ChunksOfAnySizeGiveTheSame) {
  for (Context& context : contexts()) {
    for (const bool every_row : {true, false}) {
      const std::int64_t rows = 70, channels = 12;
      const Tensor hidden = random_tensor({rows, channels}, 1).to(context);
      const PackedWeight head(random_tensor({40, channels}, 2).to(context));
      std::vector<std::int32_t> targets;
      for (std::int32_t n = 0; n < rows; ++n) targets.push_back(!every_row && n % 3 == 1 ? kIgnoredTarget : n % 40);
      const Tensor target = Tensor::from(targets).to(context);
      std::vector<Tensor> dhidden, dweight, logs;
      std::vector<LossSum> sums;
      for (const std::int64_t chunk : {0, 1, 16}) {
        dhidden.push_back(zeros(context, {rows, channels}));
        dweight.push_back(zeros(context, {40, channels}));
        logs.push_back(zeros(context, {rows}));
        const LinearCrossEntropyOptions options{.logit_softcap = 5.0f, .chunk_rows = chunk};
        sums.push_back(
            linear_cross_entropy(context, hidden, head, target, nullptr, options, &dhidden.back(), &dweight.back()));
        token_log_probabilities(context, hidden, head, target, options, logs.back());
        EXPECT_NEAR(sums.back().loss, sums.front().loss, 1e-5 * sums.front().loss) << describe(context);
        EXPECT_EQ(sums.back().count, every_row ? 70 : 47);
        expect_close(to_doubles(dhidden.back()), to_doubles(dhidden.front()), 1e-6, "dhidden");
        expect_close(to_doubles(dweight.back()), to_doubles(dweight.front()), 1e-5, "dweight");
        double loss = 0.0;
        for (const double log : to_doubles(logs.back())) loss -= log;
        EXPECT_NEAR(loss, sums.front().loss, 1e-5 * loss) << describe(context);
      }
    }
  }
}

TEST(LinearCrossEntropy, NothingSupervisedIsZeroAndNeverRead) {
  for (Context& context : contexts()) {
    Tensor nothing({2, 3});
    std::fill_n(nothing.data<float>(), 6, std::numeric_limits<float>::quiet_NaN());
    const Tensor hidden = nothing.to(context), targets = Tensor::from<std::int32_t>({-100, -100}).to(context);
    Tensor dhidden = nothing.to(context);
    const PackedWeight head(random_tensor({5, 3}, 1).to(context));
    const LossSum sum = linear_cross_entropy(context, hidden, head, targets, nullptr, {}, &dhidden, nullptr);
    EXPECT_EQ(sum.loss, 0.0);
    EXPECT_EQ(sum.count, 0);
    EXPECT_EQ(to_doubles(dhidden), Doubles(6)) << describe(context);
  }
}

TEST(LinearCrossEntropy, RefusesTargetsOutsideTheVocabulary) {
  for (Context& context : contexts()) {
    const Tensor hidden = random_tensor({1, 3}, 1).to(context);
    const PackedWeight head(random_tensor({5, 3}, 1).to(context));
    const auto call = [&](std::int32_t target) {
      linear_cross_entropy(context, hidden, head, Tensor::from<std::int32_t>({target}).to(context), nullptr, {},
                           nullptr, nullptr);
    };
    expect_refused([&] { call(5); }, {"cross_entropy", "target 5", "5 classes"});
    expect_refused([&] { call(-1); }, {"target -1"});
  }
}

TEST(SoftmaxCrossEntropy, MatchesItsDefinitionWithClassWeights) {
  const std::vector<std::int32_t> targets{2, 0, -100, 1};
  const std::vector<float> class_weights{1.0f, 3.0f, 0.5f}, row_weights{1.0f, 2.0f, 1.0f, 0.5f};
  const auto run = [=](Context& context, const Tensor& logits, Tensor* gradient) {
    const Tensor classes = Tensor::from(class_weights).to(context), rows = Tensor::from(row_weights).to(context);
    return softmax_cross_entropy(context, logits, Tensor::from(targets).to(context), &classes, &rows, 1.0f, gradient);
  };
  OpCase op;
  op.name = "softmax_cross_entropy";
  op.inputs.push_back(random_tensor({4, 3}, 1));
  op.differentiated = 1;
  op.forward = [=](Context& context, const std::vector<Tensor>& in) {
    return Tensor::from<float>({static_cast<float>(run(context, in[0], nullptr).loss)});
  };
  op.backward = [=](Context& context, const std::vector<Tensor>& in, const Tensor& d_loss) {
    std::vector<Tensor> gradients;
    gradients.push_back(in[0].clone());  // in place
    run(context, gradients[0], &gradients[0]);
    scale(context, gradients[0], static_cast<float>(to_doubles(d_loss)[0]));
    return gradients;
  };
  op.definition = [=](const std::vector<Doubles>& in) {
    double loss = 0.0;
    for (std::size_t n = 0; n < 4; ++n) {
      if (targets[n] == kIgnoredTarget) continue;
      const Doubles row(in[0].begin() + static_cast<std::ptrdiff_t>(3 * n),
                        in[0].begin() + static_cast<std::ptrdiff_t>(3 * n + 3));
      const auto target = static_cast<std::size_t>(targets[n]);
      loss -= static_cast<double>(row_weights[n] * class_weights[target]) * log_probability(row, target);
    }
    return Doubles{loss};
  };
  check_op(op);
}

// Rows of more classes than one pass of a block takes, in pieces of 16 bytes and not.
TEST(SoftmaxCrossEntropy, WideRowsMatchTheirDefinition) {
  for (Context& context : contexts()) {
    for (const std::int64_t classes : {1037, 2200}) {
      const Tensor logits = random_tensor({3, classes}, 1, 4.0);
      const std::vector<std::int32_t> targets{5, static_cast<std::int32_t>(classes - 1), -100};
      Tensor gradient = Tensor({3, classes}, DataType::kFloat32, context);
      const LossSum sum = softmax_cross_entropy(context, logits.to(context), Tensor::from(targets).to(context), nullptr,
                                                nullptr, 0.5f, &gradient);
      double loss = 0.0;
      Doubles expected(static_cast<std::size_t>(3 * classes));
      for (std::size_t n = 0; n < 2; ++n) {
        const Doubles row =
            to_doubles(logits.slice_rows(static_cast<std::int64_t>(n), static_cast<std::int64_t>(n) + 1));
        loss -= log_probability(row, static_cast<std::size_t>(targets[n]));
        for (std::size_t c = 0; c < row.size(); ++c) {
          const double hit = c == static_cast<std::size_t>(targets[n]) ? 1.0 : 0.0;
          expected[n * row.size() + c] = 0.5 * (std::exp(log_probability(row, c)) - hit);
        }
      }
      EXPECT_NEAR(sum.loss, loss, 1e-5 * loss);
      EXPECT_EQ(sum.count, 2);
      expect_close(to_doubles(gradient), expected, 1e-6, "gradient");
    }
  }
}

TEST(SoftmaxCrossEntropy, RefusesATargetOutOfRangeOnEveryDevice) {
  for (Context& context : contexts()) {
    const Tensor logits = random_tensor({2, 3}, 1).to(context);
    const Tensor targets = Tensor::from<std::int32_t>({1, 3}).to(context);
    expect_refused([&] { softmax_cross_entropy(context, logits, targets, nullptr, nullptr, 1.0f, nullptr); },
                   {"cross_entropy", "target 3", "3 classes"});
  }
}

// Of one row in double, as the header says it.
double distillation_of(const Doubles& logits, std::size_t target, const std::vector<std::int32_t>& tokens,
                       const std::vector<float>& logs, double ratio, double temperature) {
  Doubles theirs, mine;
  double rest = 1, my_rest = 1;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    theirs.push_back(std::exp(static_cast<double>(logs[i])));
    mine.push_back(std::exp(log_probability(logits, static_cast<std::size_t>(tokens[i]))));
    rest -= theirs.back();
    my_rest -= mine.back();
  }
  theirs.push_back(rest);
  mine.push_back(my_rest);
  double my_total = 0, total = 0, divergence = 0;
  for (double& share : theirs) total += share = std::pow(share, 1 / temperature);
  for (double& share : mine) my_total += share = std::pow(share, 1 / temperature);
  for (std::size_t i = 0; i < mine.size(); ++i)
    divergence += theirs[i] / total * std::log(theirs[i] / total / (mine[i] / my_total));
  return -(1 - ratio) * log_probability(logits, target) + ratio * temperature * temperature * divergence;
}

struct Lesson {
  std::vector<std::int64_t> borders{0, 2, 2, 5, 6};  // the second row has no teacher, the third has no target
  std::vector<std::int32_t> tokens{4, 1, 0, 2, 5, 3};
  std::vector<float> logs{-0.5f, -1.5f, -1.0f, -2.0f, -3.0f, -0.01f};
  std::vector<std::int32_t> targets{4, 2, kIgnoredTarget, 5};
  std::vector<float> weights{1.0f, 0.5f, 2.0f, 1.5f};
  TeacherProbabilities teacher() const { return {borders, tokens, logs}; }
};

OpCase distillation_case(const DistillationOptions& distillation, const LinearCrossEntropyOptions& options) {
  const Lesson lesson;
  OpCase op;
  op.name = "linear_distillation";
  op.inputs.push_back(random_tensor({4, 3}, 1));
  op.inputs.push_back(random_tensor({7, 3}, 2));
  op.differentiated = 2;
  const auto run = [=](Context& context, const std::vector<Tensor>& in, Tensor* dhidden, Tensor* dweight) {
    const Tensor weights = Tensor::from(lesson.weights).to(context);
    const Tensor targets = Tensor::from(lesson.targets).to(context);
    return linear_distillation(context, in[0], PackedWeight(in[1].view()), targets, &weights, lesson.teacher(),
                               distillation, options, dhidden, dweight);
  };
  op.forward = [=](Context& context, const std::vector<Tensor>& in) {
    return Tensor::from<float>({static_cast<float>(run(context, in, nullptr, nullptr).loss)});
  };
  op.backward = [=](Context& context, const std::vector<Tensor>& in, const Tensor& d_loss) {
    std::vector<Tensor> gradients;
    gradients.push_back(like(context, in[0]));
    gradients.push_back(zeros(context, in[1].shape()));
    run(context, in, &gradients[0], &gradients[1]);
    for (Tensor& gradient : gradients)
      scale(context, gradient, static_cast<float>(to_doubles(d_loss)[0]) / options.scale);
    return gradients;
  };
  op.definition = [=](const std::vector<Doubles>& in) {
    double loss = 0;
    for (std::size_t n = 0; n < 4; ++n) {
      if (lesson.targets[n] == kIgnoredTarget) continue;
      Doubles logits(7);
      for (std::size_t i = 0; i < 21; ++i) logits[i / 3] += in[0][n * 3 + i % 3] * in[1][i];
      for (double& logit : logits) {
        logit *= static_cast<double>(options.logit_scale);
        const double cap = static_cast<double>(options.logit_softcap);
        if (cap > 0.0) logit = cap * std::tanh(logit / cap);
      }
      const auto begin = lesson.borders[n], end = lesson.borders[n + 1];
      const auto target = static_cast<std::size_t>(lesson.targets[n]);
      const double each =
          begin == end
              ? -log_probability(logits, target)
              : distillation_of(logits, target, {lesson.tokens.begin() + begin, lesson.tokens.begin() + end},
                                {lesson.logs.begin() + begin, lesson.logs.begin() + end},
                                static_cast<double>(distillation.ratio), static_cast<double>(distillation.temperature));
      loss += static_cast<double>(lesson.weights[n]) * each;
    }
    return Doubles{loss};
  };
  return op;
}

TEST(LinearDistillation, LossAndGradientsAreThoseOfTheDefinition) {
  for (const DistillationOptions& distillation :
       {DistillationOptions{0.5f, 1.0f}, DistillationOptions{1.0f, 2.0f}, DistillationOptions{0.3f, 0.7f}}) {
    check_op(distillation_case(distillation, {}));
    check_op(distillation_case(distillation, {.scale = 0.25f, .logit_scale = 1.5f, .logit_softcap = 2.0f}));
  }
}

TEST(LinearDistillation, WithoutATeachersShareIsTheCrossEntropyToTheBit) {
  for (Context& context : contexts()) {
    const Lesson lesson;
    const Tensor hidden = random_tensor({4, 3}, 1).to(context), head = random_tensor({7, 3}, 2).to(context);
    const Tensor targets = Tensor::from(lesson.targets).to(context), weights = Tensor::from(lesson.weights).to(context);
    Tensor wanted = zeros(context, {4, 3}), got = zeros(context, {4, 3});
    const PackedWeight packed(head.view());
    const LossSum plain = linear_cross_entropy(context, hidden, packed, targets, &weights, {}, &wanted, nullptr);
    const LossSum none = linear_distillation(context, hidden, packed, targets, &weights, lesson.teacher(),
                                             {.ratio = 0.0f}, {}, &got, nullptr);
    EXPECT_EQ(none.loss, plain.loss);
    EXPECT_EQ(to_doubles(got), to_doubles(wanted)) << describe(context);
  }
}

// Logits of +-40: the rest of the mass is nothing on one side, everything on the other.
TEST(LinearDistillation, StaysFiniteWhereTeacherOrModelIsSure) {
  const std::vector<std::int64_t> borders{0, 1, 2, 4};
  const std::vector<std::int32_t> tokens{0, 1, 0, 1};
  const std::vector<float> logs{0.0f, -90.0f, -0.6931472f, -0.6931472f};
  for (Context& context : contexts()) {
    const Tensor hidden = Tensor::from<float>({40, 40, -40}, {3, 1}).to(context);
    const Tensor head = Tensor::from<float>({3, 0, 0, -3}, {4, 1}).to(context);
    const Tensor targets = Tensor::from<std::int32_t>({0, 1, 0}).to(context);
    Tensor dhidden = zeros(context, {3, 1});
    for (const float temperature : {0.5f, 1.0f, 4.0f}) {
      const LossSum sum = linear_distillation(context, hidden, PackedWeight(head.view()), targets, nullptr,
                                              {borders, tokens, logs}, {0.5f, temperature}, {}, &dhidden, nullptr);
      EXPECT_TRUE(std::isfinite(sum.loss)) << temperature;
      for (const double value : to_doubles(dhidden)) EXPECT_TRUE(std::isfinite(value)) << temperature;
    }
  }
}

TEST(LinearDistillation, RefusesATeacherThatCannotBe) {
  Context context = Context::cpu(1);
  const Tensor hidden = random_tensor({1, 2}, 1), head = random_tensor({3, 2}, 2);
  const auto call = [&](std::vector<std::int64_t> borders, std::vector<std::int32_t> tokens, std::vector<float> logs,
                        DistillationOptions options = {}) {
    linear_distillation(context, hidden, PackedWeight(head.view()), Tensor::from<std::int32_t>({0}), nullptr,
                        {borders, tokens, logs}, options, {}, nullptr, nullptr);
  };
  expect_refused([&] { call({0, 2}, {1, 1}, {-1, -1}); }, {"linear_distillation", "twice"});
  expect_refused([&] { call({0, 1}, {3}, {-1}); }, {"token 3", "3 classes"});
  expect_refused([&] { call({0, 1}, {1}, {0.5f}); }, {"at most 0"});
  expect_refused([&] { call({0, 2}, {1}, {-1}); }, {"borders"});
  expect_refused([&] { call({0, 1}, {1}, {-1}, {.ratio = 2}); }, {"ratio"});
}

TEST(SquaredError, IgnoresMissingTargets) {
  for (Context& context : contexts()) {
    const Tensor y = Tensor::from<float>({1, 2, 3, 4}, {2, 2}).to(context);
    const float missing = std::numeric_limits<float>::quiet_NaN();
    const Tensor targets = Tensor::from<float>({0, missing, 1, 4}, {2, 2}).to(context);
    const Tensor weights = Tensor::from<float>({1, 3}).to(context);
    Tensor dy = zeros(context, {2, 2});
    const LossSum sum = squared_error(context, y, targets, &weights, 0.5f, &dy);
    EXPECT_EQ(sum.loss, 0.5 + 3 * 2.0) << describe(context);
    EXPECT_EQ(sum.count, 3);
    EXPECT_EQ(to_doubles(dy), (Doubles{0.5, 0, 3, 0}));
  }
}

}  // namespace
}  // namespace kernels
