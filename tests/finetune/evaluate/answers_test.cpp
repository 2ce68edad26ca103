#include "finetune/evaluate/answers.h"

#include <gtest/gtest.h>

#include "finetune/generate/predictor.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

platform::Example question(int i) {
  platform::Example example;
  example.id = "q" + std::to_string(i);
  example.split = i < 24 ? platform::Split::kTrain : platform::Split::kTest;
  example.messages = {{"user", i % 2 == 0 ? "spindle load" : "bearing"},
                      {"assistant", i % 2 == 0 ? "high, high" : "cold"}};
  return example;
}

// A language model that was taught two answers.
class Answers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<platform::TemporaryFolder>();
    support::write_tiny_base(path("base"));
    std::string lines;
    for (int i = 0; i < 32; ++i) lines += platform::canonical_json(platform::to_json(question(i))) + "\n";
    platform::write_file_atomically(path("data.jsonl"), lines);
    TrainRequest request;
    request.base_folder = path("base");
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    request.config.min_steps = 900;
    request.config.max_steps = 900;
    request.config.learning_rate = 1e-2;
    request.output_folder = path("adapter");
    request.threads = 1;
    TrainObserver observer;
    train_adapter(request, observer);
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::filesystem::path path(const char* name) { return folder_->path() / name; }
  EvaluateRequest request() const {
    EvaluateRequest request;
    request.base_folder = path("base");
    request.adapter_folder = path("adapter");
    request.dataset = path("data.jsonl");
    request.predictions_file = path("predictions.jsonl");
    request.threads = 1;
    return request;
  }
  static std::unique_ptr<platform::TemporaryFolder> folder_;
};
std::unique_ptr<platform::TemporaryFolder> Answers::folder_;

TEST_F(Answers, AreComparedWithACopyOfTheNearestTrainingAnswer) {
  const EvaluationReport report = evaluate_adapter(request());
  EXPECT_EQ(report.baseline("nearest", "exact_match").value().value, 1.0) << "the questions are the same";
  EXPECT_EQ(report.baseline("nearest", "lcs_f1").value().value, 1.0);
  const std::string lines = platform::read_file(path("predictions.jsonl"));
  std::size_t scored = 0;
  for (std::size_t at = lines.find("lcs_f1"); at != std::string::npos; at = lines.find("lcs_f1", at + 1)) ++scored;
  EXPECT_EQ(scored, 2u) << "each of the two questions once";
  EXPECT_FALSE(report.baseline("nearest", "perplexity")) << "a copy has no probability";
  ASSERT_EQ(report.baseline_examples.size(), 1u);
  EXPECT_EQ(report.baseline_examples[0].second, 24);
}

TEST_F(Answers, OfATaughtModelAreScoredBesideItsLoss) {
  const EvaluationReport report = evaluate_adapter(request());
  EXPECT_EQ(report.examples, 8);
  EXPECT_EQ(report.answers, 8);
  ASSERT_TRUE(report.score("perplexity"));
  for (const char* metric : {"exact_match", "token_f1", "rouge_1", "rouge_l"})
    EXPECT_EQ(report.score(metric).value().value, 1.0) << metric;
  EXPECT_EQ(report.score("rouge_2").value().value, 0.5) << "half of the answers are one word long";
  EXPECT_NEAR(report.score("chrf").value().value, 100, 1e-9);
  const std::string lines = platform::read_file(path("predictions.jsonl"));
  const platform::json::value first = platform::json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(first.at("truth"), "high, high");
  EXPECT_EQ(first.at("prediction"), "high, high");
  EXPECT_EQ(first.at("scores").at("exact_match"), 1.0);
  EXPECT_EQ(to_json(evaluation_report_from_json(to_json(report))), to_json(report));
}

// One step teaches nothing; what is remembered is known all the same.
TEST_F(Answers, AreThoseThatTheAdapterRemembers) {
  TrainRequest made;
  made.base_folder = path("base");
  made.dataset = path("data.jsonl");
  made.task = Task::kLanguageModel;
  made.config.min_steps = 1;
  made.config.max_steps = 1;
  made.config.remembered_answers = 10;
  made.output_folder = path("remembering");
  made.threads = 1;
  TrainObserver observer;
  train_adapter(made, observer);
  EvaluateRequest scored = request();
  scored.adapter_folder = path("remembering");
  EXPECT_EQ(evaluate_adapter(scored).score("exact_match").value().value, 1.0);
  EXPECT_EQ(Predictor(path("base"), path("remembering"), 1).predict(question(1)).text, "cold");
  platform::write_file_atomically(path("remembering") / kMemoryName, "{}");
  EXPECT_THROW(Predictor(path("base"), path("remembering"), 1), platform::Error) << "its digest is in the manifest";
}

TEST_F(Answers, OfAPartThatIsRememberedAreNotScored) {
  TrainRequest made;
  made.base_folder = path("base");
  made.dataset = path("data.jsonl");
  made.config.min_steps = 1;
  made.config.max_steps = 1;
  made.config.remembered_answers = 10;
  made.output_folder = path("refused");
  TrainObserver observer;
  made.task = Task::kClassify;
  EXPECT_THROW(train_adapter(made, observer), platform::Error) << "a head gives no text";
  made.task = Task::kLanguageModel;
  std::string lines = platform::read_file(path("data.jsonl"));
  platform::Example validation = question(0);
  validation.split = platform::Split::kValidation;
  lines += platform::canonical_json(platform::to_json(validation)) + "\n";
  platform::write_file_atomically(path("validated.jsonl"), lines);
  made.dataset = path("validated.jsonl");
  train_adapter(made, observer);
  EvaluateRequest scored = request();
  scored.dataset = path("validated.jsonl");
  scored.adapter_folder = path("refused");
  scored.split = "validation";
  try {
    evaluate_adapter(scored);
    FAIL() << "it judged itself";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("remembered_answers: 0"), std::string::npos) << error.what();
  }
}

TEST_F(Answers, AreWrittenForAsManyExamplesAsWereAskedFor) {
  EvaluateRequest some = request();
  some.answers = 3;
  EXPECT_EQ(evaluate_adapter(some).answers, 3);
  some.answers = 0;
  const EvaluationReport none = evaluate_adapter(some);
  EXPECT_EQ(none.answers, 0);
  EXPECT_FALSE(none.score("rouge_l"));
  EXPECT_TRUE(none.score("loss"));
}

TEST_F(Answers, StopWhenAskedTo) {
  EvaluateRequest stopped = request();
  int questions = 0;
  stopped.should_stop = [&] { return ++questions > 4; };
  try {
    evaluate_adapter(stopped);
    FAIL() << "went on";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCancelled);
  }
}

TEST_F(Answers, WhatSeveralExamplesAskIsAnsweredOnce) {
  kernels::Context context = kernels::Context::cpu(1);
  LoadedAdapter loaded = load_adapter(context, path("base"), path("adapter"));
  std::vector<platform::Example> questions;
  for (int i = 0; i < 8; ++i) questions.push_back(question(i));
  const auto asked = [&](std::size_t count) {
    std::vector<const platform::Example*> examples;
    for (std::size_t i = 0; i < count; ++i) examples.push_back(&questions[i]);
    int pieces = 0;
    const auto answers = answers_of(context, loaded, examples, {}, [&] { return ++pieces < 0; });
    EXPECT_EQ(answers.back(), "cold");
    EXPECT_EQ(answers[count - 2], "high, high");
    return pieces;
  };
  EXPECT_EQ(asked(8), asked(2)) << "there are two questions";
}

}  // namespace
}  // namespace finetune
