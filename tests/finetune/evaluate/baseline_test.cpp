#include "finetune/evaluate/baseline.h"

#include <gtest/gtest.h>

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

TEST(Baseline, LearnsFromTheExamplesThatHaveAValueAndNamesAScoredOneThatHasNone) {
  const platform::Example one = measured("one", 1, 1.0), three = measured("three", 3, 3.0);
  const platform::Example unknown = measured("unknown", 2, std::nullopt);
  const auto outcomes = baseline_outcomes(Task::kRegress, {}, {&one, &unknown, &three}, {&one}, 1);
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(outcomes[0].name, "mean");
  EXPECT_EQ(outcomes[0].outcomes.at(0).predicted_value, 2.0);
  EXPECT_EQ(outcomes[2].name, "nearest");
  EXPECT_EQ(outcomes[2].examples, 2u);
  EXPECT_TRUE(baseline_outcomes(Task::kRegress, {}, {&unknown}, {&one}, 1).empty());
  try {
    baseline_outcomes(Task::kRegress, {}, {&one}, {&unknown}, 1);
    FAIL() << "an example without a value was scored";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("unknown"), std::string::npos);
  }
}

TEST(Baseline, TheNearestExamplesVoteBesideOneVoteOfTheWholeTrainingPart) {
  std::vector<platform::Example> train;
  for (int i = 0; i < 8; ++i) {
    train.push_back(measured("t" + std::to_string(i), i, std::nullopt));
    train.back().label = i < 4 ? "low" : "high";
  }
  std::vector<const platform::Example*> all;
  for (const platform::Example& example : train) all.push_back(&example);
  const platform::Example test = measured("test", 0.2, std::nullopt);
  const auto outcomes = baseline_outcomes(Task::kClassify, {"high", "low"}, all, {&test}, 1);
  const Outcome& nearest = outcomes.at(2).outcomes.at(0);
  EXPECT_EQ(nearest.prediction, 1);
  EXPECT_NEAR(nearest.probabilities[1], (4 + 0.5) / 6, 1e-6);  // loads 0 to 3 are low, 4 is high
  EXPECT_NEAR(nearest.probabilities[0], (1 + 0.5) / 6, 1e-6);
}

}  // namespace
}  // namespace finetune
