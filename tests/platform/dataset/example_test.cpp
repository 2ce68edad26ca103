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
