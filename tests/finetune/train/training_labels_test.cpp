#include "finetune/train/training_labels.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"

namespace finetune {
namespace {

using Labels = std::vector<std::string>;

// Of examples that have these labels, one each.
Labels labels_of(Task task, const Labels& listed, const Labels& in_data) {
  std::vector<platform::Example> examples;
  for (const std::string& label : in_data) {
    platform::Example& example = examples.emplace_back();
    example.id = "e" + std::to_string(examples.size());
    if (task == Task::kMultilabel)
      example.labels = {label};
    else
      example.label = label;
  }
  std::vector<const platform::Example*> train;
  for (const platform::Example& example : examples) train.push_back(&example);
  TrainRequest request;
  request.task = task;
  request.labels = listed;
  return training_labels(request, train);
}

std::string refusal(Task task, const Labels& listed, const Labels& in_data) {
  try {
    labels_of(task, listed, in_data);
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.path(), "labels");
    return error.what();
  }
  return "(accepted)";
}

TEST(TrainingLabels, AListIsTheOrderEvenOfNumbers) {
  EXPECT_EQ(labels_of(Task::kOrdinal, {"3", "1", "2"}, {"1", "2", "3"}), (Labels{"3", "1", "2"}));
  EXPECT_EQ(labels_of(Task::kOrdinal, {"low", "high"}, {"high", "low"}), (Labels{"low", "high"}));
}

TEST(TrainingLabels, WithoutAListNumbersHaveTheirOwnOrderAndClassesTheAlphabets) {
  EXPECT_EQ(labels_of(Task::kOrdinal, {}, {"10", "2", "1"}), (Labels{"1", "2", "10"}));
  EXPECT_EQ(labels_of(Task::kClassify, {}, {"10", "2", "1"}), (Labels{"1", "10", "2"}));
  EXPECT_EQ(labels_of(Task::kRegress, {}, {"10"}), Labels{});
}

TEST(TrainingLabels, RefusesThoseThatCannotBeAndNamesThem) {
  const std::tuple<Task, Labels, Labels, const char*> cases[] = {
      {Task::kClassify, {"ok", "fail", "ok"}, {"ok", "fail"}, "labels has \"ok\" twice"},
      {Task::kClassify, {"ok", ""}, {"ok"}, "labels has an empty name"},
      {Task::kClassify, {}, {"ok", ""}, "example e2 has a label without a name"},
      {Task::kMultilabel, {}, {"ok", ""}, "example e2 has a label without a name"},
      {Task::kClassify, {"ok", "fail"}, {"ok", "lost"}, "not listed: \"lost\""},
      {Task::kOrdinal, {}, {"low", "2"}, "\"low\" is no number"},
      {Task::kOrdinal, {}, {"2.0", "2", "1"}, "the same number"},
      {Task::kClassify, {}, {"ok"}, "at least two labels"}};
  for (const auto& [task, listed, in_data, words] : cases) {
    const std::string said = refusal(task, listed, in_data);
    EXPECT_NE(said.find(words), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace finetune
