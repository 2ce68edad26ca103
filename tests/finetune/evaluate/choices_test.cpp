#include "finetune/evaluate/choices.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <sstream>

#include "finetune/evaluate/answers.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

platform::Example example_of(int i) {
  platform::Example example;
  example.id = "m" + std::to_string(i);
  example.split = i < 24 ? platform::Split::kTrain : platform::Split::kTest;
  example.prompt = i % 2 == 0 ? "spindle load" : "bearing";
  example.completion = i % 2 == 0 ? " high" : " cold";
  return example;
}

// A language model that was taught little, so that its likelihoods are not all alike and not all sure.
class Choices : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<platform::TemporaryFolder>();
    support::write_tiny_base(path("base"));
    std::string lines;
    for (int i = 0; i < 36; ++i) lines += platform::canonical_json(platform::to_json(example_of(i))) + "\n";
    platform::write_file_atomically(path("data.jsonl"), lines);
    TrainRequest request;
    request.base_folder = path("base");
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    request.config.min_steps = request.config.max_steps = 60;
    request.config.learning_rate = 1e-2;
    request.output_folder = path("adapter");
    request.threads = 1;
    TrainObserver observer;
    train_adapter(request, observer);
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::filesystem::path path(const char* name) { return folder_->path() / name; }
  static EvaluateRequest request(std::vector<std::string> choices) {
    EvaluateRequest request;
    request.base_folder = path("base");
    request.adapter_folder = path("adapter");
    request.dataset = path("data.jsonl");
    request.predictions_file = path("predictions.jsonl");
    request.choices = std::move(choices);
    request.answers = 0;
    request.threads = 1;
    return request;
  }
  // Without anything shared: the whole example anew for each choice. Of a conversation the last turn counts alone.
  static std::vector<double> recomputed(kernels::Context& context, LoadedAdapter& loaded, platform::Example example,
                                        const std::vector<std::string>& choices) {
    std::vector<double> sums;
    std::int64_t earlier = 0;
    if (example.messages.size() > 2) {
      platform::Example before = example;
      before.messages.resize(before.messages.size() - 2);
      earlier = encode_example(loaded.rules(), before, true).supervised();
    }
    for (const std::string& choice : choices) {
      (example.messages.empty() ? example.completion : example.messages.back().content) = choice;
      const EncodedExample encoded = encode_example(loaded.rules(), example, true);
      const EncodedExample* one[] = {&encoded};
      const std::vector<float> logs = loaded.model->outputs(context, one).front();
      const bool bare = loaded.adapter_digest.empty() && example.messages.empty();
      sums.push_back(std::accumulate(logs.begin() + earlier, logs.end() - (bare ? 1 : 0), 0.0));
    }
    return sums;
  }
  static std::unique_ptr<platform::TemporaryFolder> folder_;
};
std::unique_ptr<platform::TemporaryFolder> Choices::folder_;

TEST_F(Choices, AreAsLikelyAsWhenEachIsComputedWhole) {
  kernels::Context context = kernels::Context::cpu(1);
  const std::vector<std::string> choices{" high", " cold", " hot", "high, spindle load", " 높음", " h"};
  platform::Example talk;
  talk.messages = {{"user", "bearing"}, {"assistant", "cold"}, {"user", "spindle"}, {"assistant", "high"}};
  for (const bool adapted : {true, false}) {
    LoadedAdapter loaded = load_adapter(context, path("base"), adapted ? std::optional(path("adapter")) : std::nullopt);
    for (const platform::Example& example : {example_of(0), example_of(1), talk}) {
      const std::vector<double> whole = recomputed(context, loaded, example, choices);
      const std::vector<double> shared = choice_log_probabilities(context, loaded, example, choices);
      ASSERT_EQ(shared.size(), choices.size());
      for (std::size_t k = 0; k < choices.size(); ++k)
        EXPECT_NEAR(shared[k], whole[k], 1e-3 + 1e-5 * std::fabs(whole[k])) << choices[k] << " adapted " << adapted;
    }
  }
}

TEST_F(Choices, WhatTheAssistantSaidBeforeDoesNotDecideBetweenThem) {
  kernels::Context context = kernels::Context::cpu(1);
  LoadedAdapter loaded = load_adapter(context, path("base"), path("adapter"));
  const std::vector<std::string> choices{"high", "cold, spindle load is high"};
  const auto difference = [&](const std::string& said) {
    platform::Example talk;
    talk.messages = {{"user", "bearing"}, {"assistant", said}, {"user", "spindle"}, {"assistant", "high"}};
    const std::vector<double> sums = choice_log_probabilities(context, loaded, talk, choices);
    EXPECT_GT(sums[0], -60) << "a short answer is not charged for a long conversation";
    return sums[0] - sums[1];
  };
  difference("cold");
  difference("cold, hot, cold, hot, cold, hot, cold, hot, cold, hot, cold, hot, cold, hot, cold, hot, cold, hot");
}

TEST_F(Choices, ByAutoAreChoicesThatCanBeNamedAgain) {
  std::vector<platform::Example> examples(4);
  const char* completions[] = {" high", "high", "", " cold"};
  std::vector<const platform::Example*> train;
  for (std::size_t i = 0; i < 4; ++i) {
    examples[i].prompt = "load";
    examples[i].completion = completions[i];
    train.push_back(&examples[i]);
  }
  const std::vector<std::string> choices = resolved_choices({"auto"}, train, {});
  EXPECT_EQ(choices, (std::vector<std::string>{" cold", " high", "high"}));
  EXPECT_EQ(resolved_choices(choices, train, {}), choices);
  EXPECT_EQ(resolved_choices({"cold"}, train, {}), (std::vector<std::string>{" cold"}));
}

TEST_F(Choices, APromptThatLosesItsBeginningIsComparedAllTheSame) {
  kernels::Context context = kernels::Context::cpu(1);
  LoadedAdapter loaded = load_adapter(context, path("base"), path("adapter"));
  platform::Example example = example_of(0);
  for (int i = 0; i < 200; ++i) example.prompt += " bearing hot";
  const std::vector<std::string> choices{" high", " cold, cold, cold"};
  const std::vector<double> whole = recomputed(context, loaded, example, choices);
  const std::vector<double> shared = choice_log_probabilities(context, loaded, example, choices);
  for (std::size_t k = 0; k < choices.size(); ++k) EXPECT_NEAR(shared[k], whole[k], 1e-3 + 1e-5 * std::fabs(whole[k]));
}

TEST_F(Choices, OfATaughtModelAreScoredAsClassesWithIntervalsBesideTheBaselines) {
  const EvaluationReport report = evaluate_adapter(request({"auto"}));
  EXPECT_EQ(report.choices, (std::vector<std::string>{" cold", " high"}));
  for (const char* metric :
       {"accuracy", "macro_f1", "average_precision", "auroc", "calibration_error", "perplexity", "loss"}) {
    const auto score = report.score(metric);
    ASSERT_TRUE(score) << metric;
    EXPECT_LE(score->low, score->value + 1e-12) << metric;
    EXPECT_GE(score->high, score->value - 1e-12) << metric;
  }
  for (const char* name : {"majority", "linear", "nearest"}) {
    const auto score = report.baseline(name, "accuracy");
    ASSERT_TRUE(score) << name;
    EXPECT_LE(score->low, score->high) << name;
  }
  EXPECT_EQ(report.baseline("nearest", "accuracy")->value, 1.0);
  EXPECT_EQ(to_json(evaluation_report_from_json(to_json(report))), to_json(report));

  kernels::Context context = kernels::Context::cpu(1);
  LoadedAdapter loaded = load_adapter(context, path("base"), path("adapter"));
  std::istringstream lines(platform::read_file(path("predictions.jsonl")));
  int read = 0;
  for (std::string line; std::getline(lines, line); ++read) {
    const auto object = platform::parse_json(line, "predictions").as_object();
    const platform::Example example = example_of(24 + read);
    const std::vector<double> whole = recomputed(context, loaded, example, report.choices);
    EXPECT_EQ(object.at("prediction"), platform::json::value(report.choices[whole[0] >= whole[1] ? 0 : 1]));
    EXPECT_EQ(object.at("truth"), platform::json::value(example.completion));
    EXPECT_NEAR(object.at("probabilities").at(" high").to_number<double>(), 1 / (1 + std::exp(whole[0] - whole[1])),
                1e-3);
  }
  EXPECT_EQ(read, 12);
}

TEST_F(Choices, PerCharacterDividesByTheLengthOfTheAnswer) {
  EvaluateRequest by_length = request({"high", " cold", "spindle load high"});
  by_length.choices_per_character = true;
  by_length.adapter_folder.clear();
  const EvaluationReport report = evaluate_adapter(by_length);
  EXPECT_TRUE(report.adapter_digest.empty()) << "the bare base";
  EXPECT_EQ(report.choices, (std::vector<std::string>{" high", " cold", "spindle load high"}))
      << "as the data spell them";
  kernels::Context context = kernels::Context::cpu(1);
  LoadedAdapter loaded = load_adapter(context, path("base"), std::nullopt);
  const std::vector<double> whole = recomputed(context, loaded, example_of(24), report.choices);
  const std::vector<double> scores{whole[0] / 5, whole[1] / 5, whole[2] / 17};
  const auto best = static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  const std::string lines = platform::read_file(path("predictions.jsonl"));
  const auto first = platform::parse_json(lines.substr(0, lines.find('\n')), "predictions").as_object();
  EXPECT_EQ(first.at("prediction"), platform::json::value(report.choices[best]));
}

TEST(ResolvedChoices, AreRefusedWhereTheyAreNoClosedSet) {
  std::vector<platform::Example> many;
  for (int i = 0; i < 101; ++i) {
    many.push_back(example_of(0));
    many.back().completion = std::to_string(i);
  }
  std::vector<const platform::Example*> train;
  for (const platform::Example& example : many) train.push_back(&example);
  const auto refused = [&](const std::vector<std::string>& asked, const std::vector<const platform::Example*>& part) {
    try {
      resolved_choices(asked, part, {});
      return std::string("taken");
    } catch (const platform::Error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_NE(refused({"auto"}, train).find("101 different answers"), std::string::npos);
  EXPECT_NE(refused({"auto"}, {}).find("0 different answers"), std::string::npos);
  EXPECT_NE(refused({"a", " a"}, {}).find("taken"), std::string::npos) << "no data say that they are one";
  EXPECT_NE(refused({"1", " 1"}, train).find("twice"), std::string::npos);
  EXPECT_NE(refused({"a", ""}, {}).find("empty"), std::string::npos);
  EXPECT_EQ(resolved_choices({"1 ", "x"}, train, {}), (std::vector<std::string>{"1", "x"}));
}

}  // namespace
}  // namespace finetune
