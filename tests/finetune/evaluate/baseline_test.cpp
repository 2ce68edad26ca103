#include "finetune/evaluate/baseline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "platform/base/error.h"

namespace finetune {
namespace {

platform::Example measured(const std::string& id, double load, std::optional<double> value) {
  platform::Example example;
  example.id = id;
  example.prompt = "load {{ number:load }}";
  example.numbers["load"] = load;
  example.value = value;
  return example;
}

const BaselineRequest kNumbers{.task = Task::kRegress};

std::vector<const platform::Example*> pointers_to(const std::vector<platform::Example>& examples) {
  std::vector<const platform::Example*> all;
  for (const platform::Example& example : examples) all.push_back(&example);
  return all;
}

// Two samples of a signal that rises by `slope` a step, and the two that follow.
platform::Example rising(int number, double slope) {
  platform::Example example;
  example.id = "r" + std::to_string(number);
  example.prompt = "{{ signal:level }}";
  example.signals["level"].values = {static_cast<float>(number), static_cast<float>(number + slope)};
  example.values = {number + 2 * slope, number + 3 * slope};
  return example;
}

const Baseline& named(const std::vector<Baseline>& baselines, const std::string& name) {
  for (const Baseline& baseline : baselines)
    if (baseline.name == name) return baseline;
  throw std::invalid_argument("no baseline " + name);
}

TEST(Baseline, LearnsFromTheExamplesThatHaveAValueAndNamesAScoredOneThatHasNone) {
  const platform::Example one = measured("one", 1, 1.0), three = measured("three", 3, 3.0);
  const platform::Example unknown = measured("unknown", 2, std::nullopt);
  const auto outcomes = baseline_outcomes(kNumbers, {&one, &unknown, &three}, {&one});
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(outcomes[0].name, "mean");
  EXPECT_EQ(outcomes[0].outcomes.at(0).predicted_value, 2.0);
  EXPECT_EQ(outcomes[2].name, "nearest");
  EXPECT_EQ(outcomes[2].examples, 2u);
  EXPECT_TRUE(baseline_outcomes(kNumbers, {&unknown}, {&one}).empty());
  try {
    baseline_outcomes(kNumbers, {&one}, {&unknown});
    FAIL() << "an example without a value was scored";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("unknown"), std::string::npos);
  }
}

// A float holds no time of today to the second, and the square of one has no place for it in a double.
TEST(Baseline, TheLinearOneReadsNumbersFarFromZero) {
  std::vector<platform::Example> train;
  for (int i = 0; i < 40; ++i) train.push_back(measured("t" + std::to_string(i), 1.7e9 + i, 1.7e9 + 2 * i));
  const platform::Example test = measured("test", 1.7e9 + 20.5, 1.7e9 + 41);
  const auto outcomes = baseline_outcomes(kNumbers, pointers_to(train), {&test});
  EXPECT_NEAR(named(outcomes, "linear").outcomes.at(0).predicted_value, 1.7e9 + 41, 4);
  EXPECT_NEAR(named(outcomes, "mean").outcomes.at(0).predicted_value, 1.7e9 + 39, 1e-5);
}

TEST(Baseline, TheNearestExamplesVoteBesideOneVoteOfTheWholeTrainingPart) {
  std::vector<platform::Example> train;
  for (int i = 0; i < 8; ++i) {
    train.push_back(measured("t" + std::to_string(i), i, std::nullopt));
    train.back().label = i < 4 ? "low" : "high";
  }
  const platform::Example test = measured("test", 0.2, std::nullopt);
  const auto outcomes = baseline_outcomes({.labels = {"high", "low"}}, pointers_to(train), {&test});
  const Outcome& nearest = outcomes.at(2).outcomes.at(0);
  EXPECT_EQ(nearest.prediction, 1);
  EXPECT_NEAR(nearest.probabilities[1], (4 + 0.5) / 6, 1e-6);  // loads 0 to 3 are low, 4 is high
  EXPECT_NEAR(nearest.probabilities[0], (1 + 0.5) / 6, 1e-6);
}

TEST(Baseline, OfSeveralLabelsTellsTheShareOfEachAndLearnsEachOnItsOwn) {
  std::vector<platform::Example> train;
  for (int i = 0; i < 40; ++i) {
    train.push_back(measured("t" + std::to_string(i), i, std::nullopt));
    train.back().labels.emplace();
    if (i >= 10) train.back().labels->push_back("worn");
    if (i >= 30) train.back().labels->push_back("hot");
  }
  train.push_back(measured("unknown", 5, std::nullopt));
  platform::Example cold = measured("cold", 2, std::nullopt), hot = measured("hot", 38, std::nullopt);
  cold.labels.emplace();
  hot.labels = {"worn", "hot", "never seen"};
  const auto baselines =
      baseline_outcomes({.task = Task::kMultilabel, .labels = {"hot", "worn"}}, pointers_to(train), {&cold, &hot});
  const Outcome& usual = named(baselines, "majority").outcomes.at(0);
  EXPECT_EQ(named(baselines, "majority").examples, 40u);
  EXPECT_NEAR(usual.probabilities.at(0), 0.25, 1e-6);
  EXPECT_NEAR(usual.probabilities.at(1), 0.75, 1e-6);
  for (const char* name : {"linear", "nearest"}) {
    const auto& outcomes = named(baselines, name).outcomes;
    EXPECT_LT(outcomes.at(0).probabilities.at(0), 0.5f) << name;
    EXPECT_LT(outcomes.at(0).probabilities.at(1), 0.5f) << name;
    EXPECT_GT(outcomes.at(1).probabilities.at(0), 0.5f) << name;
    EXPECT_GT(outcomes.at(1).probabilities.at(1), 0.5f) << name;
    EXPECT_EQ(outcomes.at(1).marks, (std::vector<float>{1, 1})) << name;
    EXPECT_EQ(outcomes.at(1).unknown_labels, 1) << name;
  }
}

TEST(Baseline, OfAForecastKeepsTheLastSampleAndAddsTheMeanStep) {
  std::vector<platform::Example> train;
  for (int i = 0; i < 30; ++i) train.push_back(rising(i, i % 3));
  train[0].values[1].reset();
  train.push_back(rising(30, 1));
  train.back().signals["level"].values = {std::nanf(""), std::nanf("")};
  const platform::Example flat = rising(3, 0), steep = rising(20, 2);
  const auto baselines =
      baseline_outcomes({.task = Task::kForecast, .continues = "level"}, pointers_to(train), {&flat, &steep});
  EXPECT_EQ(named(baselines, "last").outcomes.at(1).predicted_values, (std::vector<double>{22, 22}));
  EXPECT_EQ(named(baselines, "last").examples, 30u);
  const auto& mean = named(baselines, "mean").outcomes.at(1);
  EXPECT_NEAR(mean.predicted_values.at(0), 22 + 1, 1e-9);
  EXPECT_NEAR(mean.predicted_values.at(1), 22 + 60.0 / 29, 1e-9) << "one second step is not known";
  EXPECT_EQ(mean.true_values, (std::vector<double>{24, 26}));
  for (const char* name : {"linear", "nearest"}) {
    const double far = score("rmse", named(baselines, "last").outcomes, {}, 0);
    EXPECT_LT(score("rmse", named(baselines, name).outcomes, {}, 0), far) << name;
  }
}

TEST(Baseline, IsLeftWhereItLearnsWhenAskedToStop) {
  std::vector<platform::Example> train;
  std::vector<std::string> labels;
  for (int i = 0; i < 90; ++i) {
    train.push_back(measured("t" + std::to_string(i), i, std::nullopt));
    labels.push_back("label " + std::to_string(i));
    train.back().label = labels.back();
  }
  int questions = 0;
  const auto stop_at = [&](int question) {
    questions = 0;
    try {
      baseline_outcomes({.labels = labels, .should_stop = [&, question] { return ++questions == question; }},
                        pointers_to(train), pointers_to(train));
      return std::string("learned to the end");
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kCancelled);
      return std::string(error.what());
    }
  };
  EXPECT_EQ(stop_at(2), "the linear baseline was asked to stop");
  EXPECT_EQ(questions, 2);
  EXPECT_EQ(stop_at(40), "the nearest baseline was asked to stop");
}

}  // namespace
}  // namespace finetune
