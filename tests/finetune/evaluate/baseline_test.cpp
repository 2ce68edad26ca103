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
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[0].first, "mean");
  EXPECT_EQ(outcomes[0].second.at(0).predicted_value, 2.0);
  EXPECT_TRUE(baseline_outcomes(Task::kRegress, {}, {&unknown}, {&one}, 1).empty());
  try {
    baseline_outcomes(Task::kRegress, {}, {&one}, {&unknown}, 1);
    FAIL() << "an example without a value was scored";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("unknown"), std::string::npos);
  }
}

}  // namespace
}  // namespace finetune
