#include "finetune/adapter/answer_memory.h"

#include <gtest/gtest.h>

#include <chrono>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

platform::Example answered(const std::string& prompt, const std::string& answer) {
  platform::Example example;
  example.id = prompt + "/" + answer;
  example.prompt = prompt;
  example.label = answer;
  return example;
}

platform::Example asked(const std::string& prompt) {
  platform::Example example;
  example.id = "asked";
  example.prompt = prompt;
  return example;
}

const char* const kPump = "Step 1: Stop the pump\nStep 2: Close the valve\nStep 3: Change the seal";
const char* const kPumpToo = "Step 1: Stop the pump\nStep 2: Close the valve\nStep 3: Call maintenance";
const char* const kPumpOddly = "Step 1: Look at it\nStep 2: Go home";
const char* const kBelt = "Step 1: Loosen the bolts\nStep 2: Change the belt";

AnswerMemory pumps_and_belts() {
  return AnswerMemory({answered("pump leaks", kPumpOddly), answered("pump leaks", kPump),
                       answered("pump leaks oil", kPumpToo), answered("belt worn", kBelt)});
}

TEST(AnswerMemory, AnswersWithWhatTheNearestQuestionsAgreeOn) {
  const AnswerMemory memory = pumps_and_belts();
  const std::string answer = memory.answer(asked("the pump leaks"), "");
  EXPECT_TRUE(answer == kPump || answer == kPumpToo) << answer;
  EXPECT_EQ(memory.answer(asked("worn belt"), ""), kBelt);
}

TEST(AnswerMemory, LetsTheModelsOwnAnswerTurnTheScale) {
  const AnswerMemory memory({answered("valve sticks", "oil the stem"), answered("valve sticks", "replace the stem")});
  EXPECT_EQ(memory.answer(asked("valve sticks again"), "you should replace it"), "replace the stem");
  EXPECT_EQ(memory.answer(asked("valve sticks again"), "you should oil it"), "oil the stem");
}

TEST(AnswerMemory, GivesTheModelsAnswerWhereNothingRememberedHasToDoWithTheQuestion) {
  EXPECT_EQ(pumps_and_belts().answer(asked("로봇 정지"), "own words"), "own words");
  EXPECT_EQ(AnswerMemory().answer(asked("pump leaks"), "own words"), "own words");
}

TEST(AnswerMemory, ReadsNoAnswerThatTheQuestionBrings) {
  platform::Example with_answer = asked("belt worn");
  const AnswerMemory memory = pumps_and_belts();
  with_answer.completion = kPump;
  EXPECT_EQ(memory.answer(with_answer, ""), kBelt);
  platform::Example talk;
  talk.messages = {{"user", "belt worn"}, {"assistant", "pump leaks pump leaks oil"}};
  EXPECT_EQ(memory.answer(talk, ""), kBelt);
}

TEST(AnswerMemory, FindsTheNearestByValuesToo) {
  const auto measured = [](double torque, const std::string& answer) {
    platform::Example example = answered("{{ number:torque }}", answer);
    example.numbers["torque"] = torque;
    return example;
  };
  const AnswerMemory memory({measured(1, "go on"), measured(1.2, "go on"), measured(50, "stop")});
  EXPECT_EQ(memory.answer(measured(1.1, ""), ""), "go on");
  EXPECT_EQ(memory.answer(measured(48, ""), ""), "stop");
}

TEST(AnswerMemory, ComesBackFromItsFile) {
  const platform::TemporaryFolder folder;
  const AnswerMemory memory = pumps_and_belts();
  memory.write(folder.path() / kMemoryName);
  const AnswerMemory again = AnswerMemory::read(folder.path() / kMemoryName);
  for (const char* question : {"pump leaks", "belt", "oil", "valve"})
    EXPECT_EQ(again.answer(asked(question), "own"), memory.answer(asked(question), "own")) << question;
}

TEST(AnswerMemory, TakesAQuestionOfUnknownWordsForAStranger) {
  platform::Example wordless = answered("{{ number:torque }}", "go on");
  wordless.numbers["torque"] = 1;
  const AnswerMemory memory({wordless, answered("pump leaks", kPump)});
  EXPECT_EQ(memory.answer(asked("로봇 정지"), "own words"), "own words");
}

TEST(AnswerMemory, AnswersAtOnceHoweverManyLongAnswersThereAre) {
  std::vector<platform::Example> questions;
  for (int i = 0; i < 700; ++i) {
    std::string answer;
    for (int step = 0; step < 600; ++step) answer += "step " + std::to_string((i + step * step) % 97) + "\n";
    questions.push_back(answered("pump leaks " + std::to_string(i % 25), answer));
  }
  const AnswerMemory memory(questions);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(memory.answer(asked("pump leaks"), "own").empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << "minutes without the limits";
}

TEST(AnswerMemory, AnswersAfterItWasMoved) {
  AnswerMemory first = pumps_and_belts();
  const AnswerMemory second = std::move(first);
  EXPECT_EQ(second.answer(asked("belt worn"), ""), kBelt);
}

TEST(AnswerMemory, RefusesAQuestionWithoutAnAnswerAndMoreThanItCanHold) {
  EXPECT_THROW(AnswerMemory({asked("pump")}), platform::Error);
  std::vector<platform::Example> many(static_cast<std::size_t>(kMostRememberedAnswers) + 1, answered("a", "b"));
  EXPECT_THROW(AnswerMemory{many}, platform::Error);
  const platform::TemporaryFolder folder;
  std::vector<platform::Example> large(2, answered("a", std::string(std::size_t{40} << 20, 'x')));
  EXPECT_THROW(AnswerMemory{large}, platform::Error) << "it could not be read again";
  platform::write_file_atomically(folder.path() / kMemoryName,
                                  "{\"id\": \"1\", \"prompt\": \"pump\", \"label\": \"stop\"}\n{\"id\": \"2\"}\n");
  try {
    AnswerMemory::read(folder.path() / kMemoryName);
    FAIL() << "it was read";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find(std::string(kMemoryName) + ":2"), std::string::npos) << error.what();
  }
}

// 3,000 questions with 300 values of their own each would be a table of gigabytes.
TEST(AnswerMemory, RefusesMoreValuesThanFit) {
  std::vector<platform::Example> questions;
  for (int i = 0; i < 3000; ++i) {
    platform::Example question = answered("pump " + std::to_string(i), "stop");
    for (int k = 0; k < 10; ++k) question.numbers["n" + std::to_string(i * 10 + k)] = 1;
    questions.push_back(std::move(question));
  }
  EXPECT_THROW(AnswerMemory{questions}, platform::Error);
}

}  // namespace
}  // namespace finetune
