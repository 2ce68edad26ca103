#include "finetune/train/repeated_examples.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

platform::Example measured(const std::string& id, platform::Split split, double load) {
  platform::Example example;
  example.id = id;
  example.split = split;
  example.prompt = "load {{ number:load }}";
  example.numbers["load"] = load;
  return example;
}

TEST(RepeatedExamples, AreCountedByIdAndByWhatTheyAsk) {
  using platform::Split;
  const std::vector<platform::Example> examples{
      measured("a", Split::kTrain, 1), measured("b", Split::kTrain, 2),      measured("c", Split::kTrain, 3),
      measured("c", Split::kTrain, 4), measured("a", Split::kTest, 1),       measured("d", Split::kTest, 2),
      measured("e", Split::kTest, 5),  measured("f", Split::kValidation, 2), measured("a", Split::kValidation, 6)};
  const RepeatedExamples repeated = repeated_in_parts(examples);
  EXPECT_EQ(repeated.ids, 1) << "c stands twice in one part";
  EXPECT_EQ(repeated.first_id, "a");
  EXPECT_EQ(repeated.questions, 1) << "that of b, d and f; that of a has its id";
  EXPECT_EQ(repeated.first_question, "b");
  const std::string notice = *repeated_notice(repeated);
  EXPECT_NE(notice.find("more than one part of the data: 1, the first is a"), std::string::npos) << notice;
  EXPECT_NE(notice.find("1 times, the first is that of b"), std::string::npos) << notice;
}

TEST(RepeatedExamples, ADifferenceInAnyFieldIsAnotherQuestion) {
  std::vector<platform::Example> examples{measured("", platform::Split::kTrain, 1),
                                          measured("", platform::Split::kTest, 1)};
  const auto questions = [&] { return repeated_in_parts(examples).questions; };
  EXPECT_EQ(questions(), 1);
  EXPECT_EQ(repeated_in_parts(examples).ids, 0) << "without an id";
  examples[1].categories["grade"] = "A";
  EXPECT_EQ(questions(), 0);
  examples[0].categories["grade"] = std::nullopt;
  EXPECT_EQ(questions(), 0);
  examples[0].categories["grade"] = "A";
  examples[0].signals["power"] = {1, "kW", {1, 2}};
  EXPECT_EQ(questions(), 0);
  examples[1].signals["power"] = {1, "kW", {1, 2}};
  EXPECT_EQ(questions(), 1);
  examples[1].label = "another answer";
  EXPECT_EQ(questions(), 1);
}

TEST(RepeatedExamples, OfAConversationTheLastAnswerIsNoPartOfTheQuestion) {
  std::vector<platform::Example> examples(2);
  examples[0].messages = {{"user", "why is it hot?"}, {"assistant", "the load"}};
  examples[1].messages = {{"user", "why is it hot?"}, {"assistant", "the bearing"}};
  examples[1].split = platform::Split::kTest;
  EXPECT_EQ(repeated_in_parts(examples).questions, 1);
  examples[1].messages[0].content = "why is it cold?";
  EXPECT_EQ(repeated_in_parts(examples).questions, 0);
  EXPECT_EQ(repeated_notice(repeated_in_parts(examples)), std::nullopt);
}

}  // namespace
}  // namespace finetune
