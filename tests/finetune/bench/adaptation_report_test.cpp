#include "finetune/bench/adaptation_report.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

FinishedRun run_of(const std::string& set, std::uint64_t seed, double score) {
  FinishedRun run{.key = "k", .set = set, .seed = seed, .score = score};
  run.test_examples = 40;
  run.steps = 120;
  run.train_seconds = 12.4;
  run.program_digest = "sha256:program";
  run.evaluation = platform::json::object();
  return run;
}

AdaptationResults three_sets() {
  const PublicSet passing{.name = "shares",
                          .domain = "game",
                          .metric = "accuracy",
                          .bar = 0.7,
                          .classical = {{"majority", 0.2}, {"LR", 0.65}, {"A|B", 0.6}}};
  const PublicSet missing{.name = "errors",
                          .domain = "automotive",
                          .task = Task::kRegress,
                          .metric = "rmse",
                          .bar = 3.14,
                          .classical = {{"mean", 16.9}, {"Ridge", 3.14}, {"HistGB", 3.83}}};
  AdaptationResults results{.base_digest = "sha256:base", .seeds = 2, .program_digest = "sha256:program"};
  FinishedRun first = run_of("shares", 1, 0.71);
  first.baselines = {{"majority", 0.2}, {"linear", 0.61}, {"nearest", 0.5}};
  results.sets = {set_result(passing, {first, run_of("shares", 2, 0.73)}),
                  set_result(missing, {run_of("errors", 1, 3.2)}),
                  {.set = {.name = "absent", .metric = "qwk", .bar = 0.75}, .left_out = "the data set is not at x"}};
  return results;
}

TEST(AdaptationReport, HasARowASetWithItsBarAndTheBestThatOthersReach) {
  EXPECT_EQ(
      results_markdown(three_sets()),
      "| set | metric | mean | sd | min - max | bar | result | classical | linear | nearest | majority | training "
      "s | steps | test examples |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
      "| shares | accuracy | 0.720 | 0.014 | 0.710 - 0.730 | >= 0.700 | passed | LR 0.650 | 0.610 | 0.500 | 0.200 "
      "| 12 | 120 | 40 |\n"
      "| errors | rmse | 3.20 | - | 3.20 - 3.20 | <= 3.14 | misses by 0.060 | Ridge 3.14 | - | - | - | 12 | 120 | "
      "40 |\n"
      "| absent | qwk | - | - | - | >= 0.750 | the data set is not at x | - | - | - | - | - | - | - |\n"
      "\n1 of 2 measured sets pass, 1 were not there. Base sha256:base, seeds 1 to 2, defaults.\n");
}

TEST(AdaptationReport, StandsInColumnsOnATerminal) {
  const std::string text = results_text(three_sets());
  const std::size_t second = text.find('\n') + 1, third = text.find('\n', second) + 1;
  EXPECT_EQ(text.find("metric"), text.find("accuracy", second) - second);
  EXPECT_EQ(text.find("classical"), text.find("Ridge", third) - third);
}

TEST(AdaptationReport, TellsOfSettingsFoldsAndOtherBuilds) {
  AdaptationResults results = three_sets();
  results.settings = platform::json::object{{"max_steps", 2}};
  results.sets[0].set.folds = 5;
  results.sets[0].runs[1].program_digest = "sha256:older";
  const std::string text = results_markdown(results);
  EXPECT_NE(text.find("| shares, 1 of 5 folds |"), std::string::npos) << text;
  EXPECT_NE(text.find("settings {\"max_steps\":2}"), std::string::npos) << text;
  EXPECT_NE(text.find("1 runs were made by another build"), std::string::npos) << text;
  results.sets[0].folds = 5;
  EXPECT_NE(results_markdown(results).find("| shares, 5 folds |"), std::string::npos);
}

TEST(AdaptationReport, HoldsEveryRunAsJson) {
  const platform::json::value all = to_json(three_sets());
  const platform::json::array& sets = all.at("sets").as_array();
  ASSERT_EQ(sets.size(), 3u);
  EXPECT_EQ(sets[0].at("runs").as_array().size(), 2u);
  EXPECT_EQ(finished_run_from_json(sets[0].at("runs").as_array()[1]).score, 0.73);
  EXPECT_EQ(sets[0].at("passed"), platform::json::value(true));
  EXPECT_NEAR(sets[1].at("distance").to_number<double>(), -0.06, 1e-9);
  EXPECT_EQ(sets[2].at("left_out"), platform::json::value("the data set is not at x"));
  EXPECT_EQ(sets[0].at("classical").as_array()[1].at("method"), platform::json::value("LR"));
}

}  // namespace
}  // namespace finetune
