// What an evaluation reports, whatever the task.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <sstream>

#include "finetune/generate/predictor.h"
#include "finetune/train/example_encoding.h"
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

// Evaluations of data that a test makes itself.
class EvaluatedData : public ::testing::Test {
 protected:
  using Lines = std::vector<platform::json::object>;
  using Make = std::function<void(int, platform::Example&)>;

  // 60 examples with a load from 0 to 9, of which the last 24 are tested.
  EvaluationReport report_of(TrainRequest request, const Make& make) {
    support::write_tiny_base(path("base"));
    std::string lines;
    for (int i = 0; i < 60; ++i) {
      platform::Example example;
      example.id = "e" + std::to_string(i);
      example.split = i < 36 ? platform::Split::kTrain : platform::Split::kTest;
      example.prompt = "load {{ number:load }}";
      example.numbers["load"] = (i * 7) % 10;
      make(i, example);
      lines += platform::canonical_json(platform::to_json(example)) + "\n";
    }
    platform::write_file_atomically(path("data.jsonl"), lines);
    request.base_folder = path("base");
    request.dataset = path("data.jsonl");
    request.config.min_steps = request.config.max_steps = 20;
    request.output_folder = path("adapter");
    request.threads = 1;
    TrainObserver observer;
    train_adapter(request, observer);
    return evaluate_adapter({.base_folder = path("base"),
                             .adapter_folder = path("adapter"),
                             .dataset = path("data.jsonl"),
                             .predictions_file = path("predictions.jsonl"),
                             .threads = 1});
  }
  Lines predictions() const {
    Lines lines;
    std::istringstream text(platform::read_file(path("predictions.jsonl")));
    for (std::string line; std::getline(text, line);)
      lines.push_back(platform::parse_json(line, "predictions").as_object());
    return lines;
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  platform::TemporaryFolder folder_;
};

// Seconds since 1970: a float holds them to two minutes.
TEST_F(EvaluatedData, NumbersFarFromZeroAreScoredAndWrittenToTheirLastDigit) {
  TrainRequest request;
  request.task = Task::kRegress;
  const auto value_of = [](int i) { return i == 40 ? 1700000099.12 : 1700000000.0 + 10 * ((i * 7) % 10); };
  const EvaluationReport report =
      report_of(request, [&](int i, platform::Example& example) { example.value = value_of(i); });
  double squares = 0;
  const Lines lines = predictions();
  ASSERT_EQ(lines.size(), 24u);
  for (int i = 36; i < 60; ++i) {
    const auto& line = lines.at(static_cast<std::size_t>(i - 36));
    EXPECT_EQ(line.at("truth").to_number<double>(), value_of(i));
    squares += std::pow(line.at("prediction").to_number<double>() - value_of(i), 2);
  }
  EXPECT_NE(platform::read_file(path("predictions.jsonl")).find("\"truth\":1700000099.12"), std::string::npos);
  EXPECT_NEAR(report.score("rmse")->value, std::sqrt(squares / 24), 1e-6);
  EXPECT_LT(report.score("rmse")->value, 25) << "of values that lie 29 from their mean";
  EXPECT_NEAR(report.baseline("mean", "rmse")->value, 33, 12);
  Predictor predictor(path("base"), path("adapter"), 1);
  const double told = *predictor.predict(read_examples(path("data.jsonl")).at(41)).value;
  EXPECT_NEAR(told, lines.at(5).at("prediction").to_number<double>(), 0.05);
  EXPECT_NE(told, static_cast<double>(static_cast<float>(told))) << "a float was told";
}

TEST_F(EvaluatedData, AForecastFarFromZeroIsComparedWithTheTruthItself) {
  TrainRequest request;
  request.task = Task::kForecast;
  request.config.continues = "level";
  const EvaluationReport report = report_of(request, [](int i, platform::Example& example) {
    example.signals["level"] = {1, "s", {16777216.0f}};  // the next float is 2 away
    example.values = {16777216.25 + *example.numbers["load"], i % 2 == 0 ? std::optional(16777217.125) : std::nullopt};
  });
  double squares = 0, count = 0;
  const Lines lines = predictions();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& truth = lines[i].at("truth").as_array();
    const auto& predicted = lines[i].at("prediction").as_array();
    EXPECT_EQ(truth.at(0).to_number<double>(), 16777216.25 + static_cast<double>((36 + i) * 7 % 10));
    for (std::size_t k = 0; k < 2; ++k) {
      if (truth[k].is_null()) continue;
      squares += std::pow(truth[k].to_number<double>() - predicted.at(k).to_number<double>(), 2);
      count += 1;
    }
  }
  EXPECT_EQ(count, 36);
  EXPECT_NEAR(report.score("rmse")->value, std::sqrt(squares / count), 1e-9);
}

TEST_F(EvaluatedData, EveryQuantileIsWrittenAndScored) {
  TrainRequest request;
  request.task = Task::kRegress;
  request.config.quantiles = {0.1, 0.5, 0.9};
  request.config.metric = "pinball_loss";
  const EvaluationReport report = report_of(
      request, [](int i, platform::Example& example) { example.value = 3 * *example.numbers["load"] + i % 4; });
  double loss = 0, covered = 0;
  const Lines lines = predictions();
  for (const auto& line : lines) {
    const double truth = line.at("truth").to_number<double>();
    const auto& quantiles = line.at("quantiles").as_array();
    ASSERT_EQ(quantiles.size(), 3u);
    EXPECT_EQ(quantiles[1].at("value"), line.at("prediction"));
    for (const auto& each : quantiles) {
      const double q = each.at("quantile").to_number<double>(), gap = truth - each.at("value").to_number<double>();
      loss += gap > 0 ? q * gap : (q - 1) * gap;
    }
    covered +=
        truth >= quantiles[0].at("value").to_number<double>() && truth <= quantiles[2].at("value").to_number<double>()
            ? 1
            : 0;
  }
  const auto count = static_cast<double>(lines.size());
  EXPECT_NEAR(report.score("pinball_loss")->value, loss / (3 * count), 1e-9);
  EXPECT_NEAR(report.score("coverage")->value, covered / count, 1e-12);
  EXPECT_FALSE(report.baseline("mean", "coverage")) << "the plain models tell no quantiles";
  EXPECT_TRUE(report.baseline("mean", "rmse"));
}

TEST_F(EvaluatedData, SaysHowManyLabelsTheAdapterDoesNotKnow) {
  const EvaluationReport report = report_of({}, [](int i, platform::Example& example) {
    example.label = i >= 50 && i < 53 ? "cracked" : *example.numbers["load"] < 5 ? "low" : "high";
  });
  EXPECT_EQ(report.unknown_labels, 3);
  EXPECT_EQ(to_json(report).at("unknown_labels"), 3);
  EXPECT_LE(report.score("accuracy")->value, 21.0 / 24) << "they are misses";
  EXPECT_EQ(evaluation_report_from_json(to_json(report)).unknown_labels, 3);
}

TEST_F(EvaluatedData, OfSeveralLabelsAnExampleWithAnUnknownOneIsCountedOnce) {
  TrainRequest request;
  request.task = Task::kMultilabel;
  const EvaluationReport report = report_of(request, [](int i, platform::Example& example) {
    example.labels = {*example.numbers["load"] < 5 ? "low" : "high"};
    if (i >= 58) example.labels->insert(example.labels->end(), {"cracked", "lost"});
  });
  EXPECT_EQ(report.unknown_labels, 2);
}

TEST_F(EvaluatedData, WhatATestPartOfOneClassCannotSayIsNotReported) {
  const EvaluationReport report = report_of({}, [](int i, platform::Example& example) {
    example.label = i >= 36 || *example.numbers["load"] < 5 ? "ok" : "fail";
  });
  for (const char* metric : {"auroc", "average_precision"}) {
    EXPECT_FALSE(report.score(metric)) << metric;
    for (const auto& [name, scores] : report.baselines) EXPECT_FALSE(report.baseline(name, metric)) << name;
  }
  EXPECT_TRUE(report.score("accuracy") && report.score("loss"));
  EXPECT_EQ(report.unknown_labels, 0);
}

INSTANTIATE_TEST_SUITE_P(Tasks, Evaluator, ::testing::Values(Task::kLanguageModel, Task::kClassify, Task::kRegress),
                         [](const auto& each) { return std::string(to_string(each.param)); });

}  // namespace
}  // namespace finetune
