#include "finetune/evaluate/questions.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

platform::Example question(int i) {
  platform::Example example;
  example.id = "q" + std::to_string(i);
  example.messages = {{"user", i % 2 == 0 ? "spindle load" : "bearing"},
                      {"assistant", i % 2 == 0 ? "high, high" : "cold"}};
  return example;
}

TEST(WantedAnswer, IsTheCompletionOrWhatTheAssistantSaysLast) {
  platform::Example example;
  example.prompt = "spindle";
  example.completion = " hot";
  EXPECT_EQ(wanted_answer(example), " hot");
  example.completion.clear();
  example.chosen = " cold";
  example.rejected = " hot";
  EXPECT_EQ(wanted_answer(example), " cold");
  example.completion = " hot";
  example.chosen.reset();
  EXPECT_EQ(wanted_answer(question(1)), "cold");
  platform::Example unanswered = question(1);
  unanswered.messages.pop_back();
  EXPECT_EQ(wanted_answer(unanswered), std::nullopt);
  platform::Example plain;
  plain.text = "spindle";
  EXPECT_EQ(wanted_answer(plain), std::nullopt);
}

TEST(SameQuestions, AreThoseWithTheSamePromptAndValues) {
  const auto plan = [](const char* prompt, const char* steps, std::optional<double> load = {}) {
    platform::Example example;
    example.prompt = prompt;
    example.completion = steps;
    if (load) example.numbers["load"] = *load;
    return example;
  };
  const std::vector<platform::Example> all{plan("Task: read", "a"),
                                           plan("Task: read", "b"),
                                           plan("Task: read", "a"),
                                           plan("Task: read", "c", 1),
                                           question(0),
                                           question(1)};
  std::vector<const platform::Example*> examples;
  for (const platform::Example& example : all) examples.push_back(&example);
  const std::vector<std::vector<std::string>> wanted{{"b"}, {"a"}, {"b"}, {}, {}, {}};
  const SameQuestions same = same_questions(examples);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(same.others(i, wanted_answer(all[i]).value_or("")), wanted[i]) << i;
  EXPECT_EQ(same.question, (std::vector<std::size_t>{0, 0, 0, 3, 4, 5}));
}

}  // namespace
}  // namespace finetune
