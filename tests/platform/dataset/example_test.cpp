#include "platform/dataset/example.h"

#include <gtest/gtest.h>

#include "platform/dataset/render.h"

namespace platform {
namespace {

TEST(Example, SurvivesJson) {
  Example example;
  example.id = "s/1";
  example.source = "s";
  example.group = "m1";
  example.split = Split::kTest;
  example.prompt = "torque {{ number:torque }}";
  example.numbers = {{"torque", 1.5}, {"speed", std::nullopt}};
  example.categories = {{"grade", "L"}};
  example.signals = {{"v", {100, "g", {0.1f, -3e20f}}}};
  example.label = "1";
  const json::value once = to_json(example);
  EXPECT_EQ(canonical_json(to_json(example_from_json(once))), canonical_json(once));
  EXPECT_NE(canonical_json(once).find("[0.1,"), std::string::npos);
}

TEST(Example, RefusesTwoForms) {
  EXPECT_THROW(example_from_json(json::object{{"prompt", "a"}, {"text", "b"}}), Error);
  EXPECT_THROW(example_from_json(json::object{{"promt", "a"}}), Error);
}

TEST(Example, RefusesNumbersThatNothingCanBeComputedWithAndNamesExampleAndField) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {R"("numbers": {"torque": 1e308})", "numbers.torque", "1E308"},
      {R"("numbers": {"torque": -1e39})", "numbers.torque", "-1E39"},
      {R"("signals": {"v": {"values": [1, null, 1e39]}})", "signals.v.values", "1E39"},
      {R"("value": 1e308)", "value", "1E308"},
      {R"("values": [1, null, -1e300])", "values", "-1E300"},
      {R"("weight": -1)", "weight", "-1"},
      {R"("weight": 1e39)", "weight", "1E39"}};
  for (const auto& [field, path, value] : cases) {
    const std::string text = std::string(R"({"id": "e7", "prompt": "a", )") + field + "}";
    try {
      example_from_json(parse_json(text, "line"));
      ADD_FAILURE() << "accepted: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.path(), path);
      EXPECT_NE(std::string(error.what()).find("example e7 has "), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(value), std::string::npos) << error.what();
    }
  }
  const json::value fine = parse_json(
      R"({"prompt": "a", "numbers": {"n": 3.4e38}, "signals": {"v": {"values": [-3.4e38]}}, "weight": 0})", "line");
  EXPECT_EQ(example_from_json(fine).weight, 0);
}

TEST(Example, KeepsAPairOfAnswersEvenWhereOneIsEmpty) {
  Example example;
  example.prompt = "spindle hot, what now?";
  example.chosen = "stop it";
  example.rejected = "";
  const json::value once = to_json(example);
  EXPECT_EQ(canonical_json(to_json(example_from_json(once))), canonical_json(once));
  EXPECT_EQ(example_from_json(once).rejected, "");
}

TEST(Example, KeepsWhatATeacherSaysOfEachToken) {
  Example example;
  example.prompt = "spindle";
  example.completion = " hot";
  example.teacher = Teacher{"sha256:00", {{{7, -0.1f}, {3, -2.5f}}, {}, {{9, 0.0f}}}};
  const json::value once = to_json(example);
  EXPECT_EQ(canonical_json(to_json(example_from_json(once))), canonical_json(once));
  EXPECT_NE(canonical_json(once).find("[[[7,-0.1],[3,-2.5]],[],"), std::string::npos) << canonical_json(once);
}

TEST(Example, RefusesATeacherThatCannotBe) {
  const std::pair<json::value, std::string> cases[] = {{{{{5, 0.1}}}, "at most 0"},
                                                       {{{{-5, -1}}}, "not [number"},
                                                       {{{{5}}}, "not [number"},
                                                       {{{{5, -1}, {5, -2}}}, "token 5 twice"},
                                                       {{{{5, -0.1}, {6, -0.1}}}, "add up to"}};
  for (const auto& [tokens, words] : cases) {
    const json::object teacher{{"tokenizer", "sha256:00"}, {"tokens", tokens}};
    try {
      example_from_json(json::object{{"id", "t1"}, {"prompt", "a"}, {"completion", "b"}, {"teacher", teacher}});
      ADD_FAILURE() << "accepted: " << canonical_json(teacher);
    } catch (const Error& error) {
      EXPECT_EQ(error.path(), "teacher");
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
  const json::object fine{{"tokenizer", "sha256:00"}, {"tokens", json::array{}}};
  EXPECT_THROW(example_from_json(json::object{{"prompt", "a"}, {"teacher", fine}}), Error) << "of no answer";
}

TEST(Example, RefusesAPairThatPrefersNothingAndNamesTheExample) {
  const json::object user{{"role", "user"}, {"content", "a"}}, assistant{{"role", "assistant"}, {"content", "b"}};
  const std::tuple<json::object, std::string, std::string> cases[] = {
      {{{"prompt", "a"}, {"chosen", "b"}}, "rejected", "no rejected one"},
      {{{"prompt", "a"}, {"rejected", "b"}}, "chosen", "no chosen one"},
      {{{"prompt", "a"}, {"chosen", "b"}, {"rejected", "b"}}, "rejected", "prefers nothing"},
      {{{"prompt", "a"}, {"completion", "c"}, {"chosen", "b"}, {"rejected", "d"}}, "completion", "beside chosen"},
      {{{"text", "a"}, {"chosen", "b"}, {"rejected", "d"}}, "text", "answer a prompt"},
      {{{"messages", {user, assistant}}, {"chosen", "b"}, {"rejected", "d"}}, "messages", "end with the assistant"}};
  for (auto [document, path, words] : cases) {
    document["id"] = "e7";
    try {
      example_from_json(document);
      ADD_FAILURE() << "accepted: " << canonical_json(document);
    } catch (const Error& error) {
      EXPECT_EQ(error.path(), path) << error.what();
      EXPECT_NE(std::string(error.what()).find("example e7"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
}

TEST(PromptParser, FindsSlotsBesideBracesOfTheText) {
  const std::string text = "{{{ a {{ number:evil }} {";
  const std::string prompt = escape_prompt(text) + "{{ number:x }}";
  const auto parts = parse_prompt(prompt);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].text, text);
  EXPECT_EQ(parts[1].kind, PromptPart::Kind::kNumber);
  EXPECT_EQ(parts[1].text, "x");
}

TEST(PromptParser, NamesTheByteOfAnOpenSlotAndOfAnUnknownKind) {
  for (const char* bad : {"ab {{ x", "{{ numbr:x }}", "{{ }}", "{{ number: }}"})
    EXPECT_THROW(parse_prompt(bad), Error) << bad;
}

}  // namespace
}  // namespace platform
