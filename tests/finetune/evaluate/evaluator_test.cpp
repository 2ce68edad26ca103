// What an evaluation reports, whatever the task.
#include <gtest/gtest.h>

#include <cmath>

#include "finetune/train/training_job.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

class Evaluator : public ::testing::TestWithParam<Task> {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    std::string lines;
    for (int i = 0; i < 60; ++i) lines += platform::canonical_json(platform::to_json(example_of(i))) + "\n";
    platform::write_file_atomically(path("data.jsonl"), lines);
    TrainRequest request;
    request.base_folder = path("base");
    request.dataset = path("data.jsonl");
    request.task = GetParam();
    request.config.min_steps = request.config.max_steps = 40;
    request.config.learning_rate = 1e-2;
    request.output_folder = path("adapter");
    request.threads = 1;
    TrainObserver observer;
    train_adapter(request, observer);
  }
  // Numbers that say a class or a value, but not always.
  static platform::Example example_of(int i) {
    platform::Example example;
    example.id = "e" + std::to_string(i);
    example.split = i < 36 ? platform::Split::kTrain : platform::Split::kTest;
    const double load = (i * 7) % 10;
    if (GetParam() == Task::kLanguageModel) {
      example.prompt = load < 5 ? "spindle load" : "bearing";
      example.completion = i % 9 == 0 ? " hot" : load < 5 ? " high" : " cold";
      return example;
    }
    example.prompt = "load {{ number:load }}";
    example.numbers["load"] = load;
    if (GetParam() == Task::kClassify)
      example.label = (load < 5) == (i % 9 != 0) ? "1" : load < 8 ? "2" : "3";
    else
      example.value = 3 * load + (i % 4);
    return example;
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  platform::TemporaryFolder folder_;
};

TEST_P(Evaluator, GivesEveryScoreOfTheAdapterAndOfEveryBaselineItsInterval) {
  EvaluateRequest request;
  request.base_folder = path("base");
  request.adapter_folder = path("adapter");
  request.dataset = path("data.jsonl");
  request.threads = 1;
  if (GetParam() == Task::kLanguageModel) request.choices = {"auto"};
  const EvaluationReport report = evaluate_adapter(request);
  std::vector<std::pair<std::string, std::vector<Score>>> all = report.baselines;
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(report.baseline_examples.size(), 3u);
  for (const auto& [name, count] : report.baseline_examples) EXPECT_EQ(count, 36) << name;
  all.emplace_back("adapter", report.scores);
  int wide = 0;
  for (const auto& [name, scores] : all) {
    EXPECT_FALSE(scores.empty()) << name;
    for (const Score& score : scores) {
      EXPECT_TRUE(std::isfinite(score.value) && std::isfinite(score.low) && std::isfinite(score.high))
          << name << " " << score.metric;
      EXPECT_LE(score.low, score.high) << name << " " << score.metric;
      wide += score.low < score.high ? 1 : 0;
      for (const char* plain : {"accuracy", "loss", "perplexity", "rmse", "mae", "rouge_1", "chrf", "lcs_f1"}) {
        if (score.metric != plain) continue;
        EXPECT_LE(score.low, score.value + 1e-12) << name << " " << score.metric;
        EXPECT_GE(score.high, score.value - 1e-12) << name << " " << score.metric;
      }
    }
  }
  EXPECT_GT(wide, 6) << "intervals of scores that vary have a width";
  EXPECT_EQ(to_json(evaluation_report_from_json(to_json(report))), to_json(report));
}

INSTANTIATE_TEST_SUITE_P(Tasks, Evaluator, ::testing::Values(Task::kLanguageModel, Task::kClassify, Task::kRegress),
                         [](const auto& each) { return std::string(to_string(each.param)); });

}  // namespace
}  // namespace finetune
