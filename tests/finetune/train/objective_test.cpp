// What the objectives of pairs minimise, against their formulas written plainly in double: of single pairs, and of a
// model's logits.
#include "finetune/train/objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/finetune/train/objective_fixture.h"

namespace finetune {
namespace {

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

// The formulas of the papers, term by term.
double plain_loss(const Objective& objective, const PairLogprobs& pair) {
  const double chosen = pair.chosen.sum / static_cast<double>(pair.chosen.tokens);
  const double rejected = pair.rejected.sum / static_cast<double>(pair.rejected.tokens);
  if (objective.kind == ObjectiveKind::kOrpo) {
    const auto odds = [](double mean) { return std::exp(mean) / (1 - std::exp(mean)); };
    return -chosen - objective.beta * std::log(sigmoid(std::log(odds(chosen) / odds(rejected))));
  }
  const double h = pair.chosen.sum - pair.rejected.sum - pair.reference_margin;
  return -(1 - objective.label_smoothing) * std::log(sigmoid(objective.beta * h)) -
         objective.label_smoothing * std::log(sigmoid(-objective.beta * h)) - objective.rpo_alpha * chosen;
}

struct Case {
  const char* name;
  Objective objective;
};
const Case kCases[] = {{"Dpo", {.kind = ObjectiveKind::kDpo}},
                       {"ConservativeDpo", {.kind = ObjectiveKind::kDpo, .beta = 0.5, .label_smoothing = 0.2}},
                       {"DpoWithTheChosenAnswersLoss", {.kind = ObjectiveKind::kDpo, .beta = 0.3, .rpo_alpha = 0.7}},
                       {"Orpo", {.kind = ObjectiveKind::kOrpo, .beta = 0.4}}};

class ObjectiveOfPairs : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(All, ObjectiveOfPairs, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(ObjectiveOfPairs, LossAndSlopesAreThoseOfTheFormula) {
  const Objective& objective = GetParam().objective;
  for (const PairLogprobs& pair : {PairLogprobs{{-3.5, 4}, {-2.0, 3}, 0.8}, PairLogprobs{{-0.4, 7}, {-9.0, 2}, -1.5},
                                   PairLogprobs{{-40.0, 12}, {-0.1, 1}, 3.0}}) {
    const PairLoss got = pair_loss(objective, pair);
    EXPECT_NEAR(got.loss, plain_loss(objective, pair), 1e-12 * std::fabs(got.loss) + 1e-13);
    const double step = 1e-5;
    const auto slope = [&](AnswerLogprob PairLogprobs::*answer) {
      PairLogprobs up = pair, down = pair;
      (up.*answer).sum += step;
      (down.*answer).sum -= step;
      return (plain_loss(objective, up) - plain_loss(objective, down)) / (2 * step);
    };
    EXPECT_NEAR(got.dchosen, slope(&PairLogprobs::chosen), 1e-7);
    EXPECT_NEAR(got.drejected, slope(&PairLogprobs::rejected), 1e-7);
  }
}

TEST_P(ObjectiveOfPairs, StaysFiniteWhereAModelIsSure) {
  for (const double chosen : {0.0, -1e-30, -1e5}) {
    for (const double rejected : {0.0, -1e-30, -1e5}) {
      const PairLoss loss = pair_loss(GetParam().objective, {{chosen, 3}, {rejected, 5}, 0});
      EXPECT_TRUE(std::isfinite(loss.loss) && std::isfinite(loss.dchosen) && std::isfinite(loss.drejected))
          << chosen << " " << rejected << ": " << loss.loss << " " << loss.dchosen << " " << loss.drejected;
    }
  }
}

TEST(ObjectiveOfPairs, RewardsTheChosenAnswerByTheReferenceOrByItsMean) {
  const PairLogprobs pair{{-6, 3}, {-5, 5}, -2.5};
  EXPECT_DOUBLE_EQ(pair_loss({.kind = ObjectiveKind::kDpo, .beta = 0.2}, pair).margin, 0.2 * (-1 + 2.5));
  EXPECT_DOUBLE_EQ(pair_loss({.kind = ObjectiveKind::kOrpo, .beta = 0.2}, pair).margin, 0.2 * (-2 + 1));
  EXPECT_DOUBLE_EQ(pair_loss({}, pair).margin, -1);
}

TEST_P(ObjectiveOfPairs, AModelsLossIsTheFormulaOfItsLogits) {
  Setting setting(GetParam().objective);
  double wanted = 0, weight = 0;
  for (const EncodedExample& pair : setting.pairs) {
    wanted += static_cast<double>(pair.weight) * plain_loss(GetParam().objective, setting.plain_pair(pair));
    weight += static_cast<double>(pair.weight);
  }
  const kernels::LossSum got = setting.model->loss(setting.context, setting.batch(), nullptr);
  EXPECT_NEAR(got.loss, wanted, 2e-6 * wanted);
  EXPECT_DOUBLE_EQ(got.weight, weight);
  EXPECT_EQ(got.count, 4);
}

// The chain rule in double: the slopes of the formula times the gradients of the two log probabilities, which come
// from the cross-entropy of each answer alone.
TEST_P(ObjectiveOfPairs, AModelsGradientIsTheChainRuleOverItsAnswers) {
  Setting setting(GetParam().objective);
  std::vector<std::vector<double>> sum;
  for (const EncodedExample& pair : setting.pairs) {
    const PairLogprobs plain = setting.plain_pair(pair);
    const double step = 1e-5;
    for (const bool chosen : {true, false}) {
      PairLogprobs up = plain, down = plain;
      (chosen ? up.chosen : up.rejected).sum += step;
      (chosen ? down.chosen : down.rejected).sum -= step;
      const double slope = (plain_loss(GetParam().objective, up) - plain_loss(GetParam().objective, down)) / (2 * step);
      EncodedExample alone = chosen ? pair : pair.rejected[0];
      alone.rejected.clear();
      alone.weight = 1;
      const EncodedExample* batch[] = {&alone};
      setting.model->set_objective({});
      setting.model->train(setting.context, batch, 1.0f, nullptr, ActivationMode::kKeep, 0);
      const auto of_answer = setting.gradients();  // of -log p
      sum.resize(of_answer.size());
      for (std::size_t i = 0; i < of_answer.size(); ++i) {
        sum[i].resize(of_answer[i].size());
        for (std::size_t k = 0; k < of_answer[i].size(); ++k)
          sum[i][k] -= 0.25 * static_cast<double>(pair.weight) * slope * static_cast<double>(of_answer[i][k]);
      }
    }
  }
  setting.model->set_objective(GetParam().objective);
  setting.model->train(setting.context, setting.batch(), 0.25f, nullptr, ActivationMode::kKeep, 0);
  std::vector<std::vector<float>> wanted;
  for (const auto& each : sum) wanted.emplace_back(each.begin(), each.end());
  expect_near(setting.gradients(), wanted, 2e-5);
}

TEST_P(ObjectiveOfPairs, MicroBatchesChangeNeitherLossNorGradient) {
  Setting whole(GetParam().objective), pieces(GetParam().objective);
  const double one = whole.model->train(whole.context, whole.batch(), 0.25f, nullptr, ActivationMode::kKeep, 0).loss;
  double four = 0;
  for (const EncodedExample* pair : pieces.batch())
    four += pieces.model->train(pieces.context, Batch(&pair, 1), 0.25f, nullptr, ActivationMode::kRecompute, 0).loss;
  EXPECT_NEAR(four, one, 1e-5 * one);
  expect_near(pieces.gradients(), whole.gradients(), 2e-5);
  // A batch counts both answers, and takes a pair whole or not at all.
  const std::int64_t two = whole.pairs[0].tokens() + whole.pairs[1].tokens();
  EXPECT_EQ(group_by_tokens(whole.pairs, {0, 1, 2, 3}, two).front().size(), 2u);
  EXPECT_EQ(group_by_tokens(whole.pairs, {0, 1, 2, 3}, two - 1).front().size(), 1u);
  EXPECT_EQ(group_by_tokens(whole.pairs, {0, 1, 2, 3}, 1).size(), 4u);
}

}  // namespace
}  // namespace finetune
