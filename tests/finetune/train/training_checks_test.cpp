#include "finetune/train/training_checks.h"

#include <gtest/gtest.h>

#include "finetune/adapter/manifest.h"
#include "platform/dataset/example.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using platform::Example;
using platform::Split;

struct Notices final : TrainObserver {
  std::vector<std::string> said;
  void on_notice(const std::string& notice) override { said.push_back(notice); }
};

// Trainings of a few steps, through the door.
class TrainingChecks : public ::testing::Test {
 protected:
  void SetUp() override { support::write_tiny_base(folder_.path() / "base"); }

  TrainRequest request(Task task, const std::vector<Example>& examples) const {
    std::string lines;
    for (const Example& example : examples) lines += platform::canonical_json(platform::to_json(example)) + "\n";
    platform::write_file_atomically(folder_.path() / "data.jsonl", lines);
    TrainRequest made;
    made.base_folder = folder_.path() / "base";
    made.dataset = folder_.path() / "data.jsonl";
    made.task = task;
    made.config.min_steps = made.config.max_steps = 2;
    made.config.side_network = false;
    made.output_folder = folder_.path() / "adapter";
    made.threads = 1;
    return made;
  }
  void expect_refused(const TrainRequest& asked, const std::string& path, const std::string& words) const {
    Notices notices;
    try {
      train_adapter(asked, notices);
      ADD_FAILURE() << "trained, where this was wanted: " << words;
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
      EXPECT_EQ(error.path(), path) << error.what();
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
    EXPECT_FALSE(std::filesystem::exists(asked.output_folder));
  }
  static std::vector<std::string> notices_of(const TrainRequest& asked) {
    Notices notices;
    train_adapter(asked, notices);
    remove_checkpoint(asked);
    return notices.said;
  }

  // Every fourth is for validation; loads alternate between the labels.
  static std::vector<Example> loads(int count) {
    std::vector<Example> examples(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      Example& example = examples[static_cast<std::size_t>(i)];
      example.id = "e" + std::to_string(i);
      example.split = i % 4 == 3 ? Split::kValidation : Split::kTrain;
      example.prompt = "load {{ number:load }}";
      example.numbers["load"] = i;
      example.label = i % 2 == 0 ? "high" : "low";
    }
    return examples;
  }
  static Example conversation(const std::string& id, bool answered) {
    Example example;
    example.id = id;
    example.messages = {{"user", "spindle load " + id}};
    if (answered) example.messages.push_back({"assistant", "high"});
    return example;
  }
  platform::TemporaryFolder folder_;
};

TEST_F(TrainingChecks, ATrainingPartThatWeighsNothingIsRefused) {
  std::vector<Example> examples = loads(12);
  for (Example& example : examples) example.weight = example.split == Split::kTrain ? 0 : 1;
  expect_refused(request(Task::kClassify, examples), "weight", "weight 0, the first is e0");
  examples[4].weight = 0.5;
  EXPECT_TRUE(notices_of(request(Task::kClassify, examples)).empty());
}

TEST_F(TrainingChecks, WhatNoExampleTeachesIsRefusedAndWhatSomeDoNotTeachIsTold) {
  expect_refused(request(Task::kLanguageModel, {conversation("a", false), conversation("b", false)}), "messages",
                 "no example of the training part teaches a token, the first is a");
  const std::vector<std::string> said = notices_of(
      request(Task::kLanguageModel, {conversation("a", true), conversation("b", false), conversation("c", false)}));
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("teach no token: 2 of 3, the first is b"), std::string::npos) << said[0];
}

TEST_F(TrainingChecks, CopiesInTwoPartsAreTold) {
  std::vector<Example> examples = loads(12);
  examples[3].id = "e0";
  const std::vector<std::string> said = notices_of(request(Task::kClassify, examples));
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("more than one part of the data: 1, the first is e0"), std::string::npos) << said[0];
}

TEST_F(TrainingChecks, SettingsThatTheTaskHasNoUseForAreRefused) {
  const std::vector<Example> texts{conversation("a", true), conversation("b", true)};
  const auto refused = [&](const char* setting, const auto& change) {
    TrainRequest asked = request(Task::kLanguageModel, texts);
    asked.config.side_network = true;
    change(asked);
    expect_refused(asked, setting, std::string(setting) + " is for the task classify, ordinal");
  };
  refused("labels", [](TrainRequest& asked) { asked.labels = {"high", "low"}; });
  refused("token_dropout", [](TrainRequest& asked) { asked.config.token_dropout = 0.1; });
  refused("side_trees", [](TrainRequest& asked) { asked.config.side_trees = 10; });
  refused("text_features", [](TrainRequest& asked) { asked.config.text_features = 10; });
}

TEST_F(TrainingChecks, AMetricThatTheValidationPartSaysNothingOfIsReplacedAloud) {
  std::vector<Example> examples = loads(16);
  for (Example& example : examples) {
    if (example.split == Split::kValidation) example.label = "high";
  }
  TrainRequest asked = request(Task::kClassify, examples);
  asked.config.metric = "auroc";
  const std::vector<std::string> said = notices_of(asked);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("says nothing of auroc, because all of its 4 examples are of one class"), std::string::npos)
      << said[0];
  EXPECT_EQ(read_manifest(asked.output_folder).training.at("metric"), "loss");
}

TEST_F(TrainingChecks, AValidationPartWithoutAKnownLabelIsRefused) {
  std::vector<Example> examples = loads(16);
  for (Example& example : examples) {
    if (example.split == Split::kValidation) example.label = "unheard of";
  }
  expect_refused(request(Task::kClassify, examples), "metric",
                 "none of its 4 examples has a label that the training part has");
}

}  // namespace
}  // namespace finetune
