#include "platform/dataset/render.h"

#include <gtest/gtest.h>

#include <cmath>

namespace platform {
namespace {

Profile profile() {
  return profile_from_yaml(R"(name: p
fields:
  torque: {kind: number, minimum: 0, maximum: 100, outside: missing, decimal_comma: true}
  grade: {kind: category, values: [L, H]}
  remark: text
  y: category
target: {field: y}
prompt: "{{ remark }} {{ number:torque }}{{ category:grade }}"
)",
                           "p.yaml");
}

std::vector<std::string> codes(const std::vector<FieldProblem>& problems) {
  std::vector<std::string> out;
  for (const FieldProblem& problem : problems) out.push_back(problem.code);
  return out;
}

TEST(Render, FillsSlotsAndCannotBeTrickedByTheText) {
  const Example example = render_request(
      profile(), json::object{{"torque", "12,5"}, {"grade", "L"}, {"remark", "see {{ number:torque }}"}});
  EXPECT_EQ(example.prompt, "see {{ \"{{\" }} number:torque }} {{ number:torque }}{{ category:grade }}");
  EXPECT_EQ(example.numbers.at("torque"), 12.5);
  EXPECT_EQ(example.categories.at("grade"), "L");
  EXPECT_EQ(parse_prompt(example.prompt).size(), 3u);
}

TEST(Render, TurnsBadValuesIntoMissingOnesAndSaysWhy) {
  std::vector<FieldProblem> problems;
  Example example = render_request(profile(), json::object{{"torque", "fast"}, {"grade", "Q"}}, &problems);
  EXPECT_EQ(codes(problems), (std::vector<std::string>{"not_a_number", "unknown_value"}));
  EXPECT_FALSE(example.numbers.at("torque").has_value());
  problems.clear();
  example = render_request(profile(), json::object{{"torque", 400}, {"grade", "?"}}, &problems);
  EXPECT_EQ(codes(problems), std::vector<std::string>{"out_of_range"});
  EXPECT_FALSE(example.numbers.at("torque").has_value());
  EXPECT_FALSE(example.categories.at("grade").has_value());
}

TEST(Render, MakesSignalsOfAWindowAndPadsItAtItsBeginning) {
  const Profile windowed = profile_from_yaml(
      "name: w\nfields: {v: signal, t: number}\ntarget: {field: y}\ngroup: g\nwindow: {length: 4}\n", "w.yaml");
  const json::array rows = {json::object{{"v", 1}, {"t", 1}}, json::object{{"v", nullptr}, {"t", 2}},
                            json::object{{"v", 3}, {"t", 3}}};
  const Example example = render_request(windowed, rows);
  const auto& values = example.signals.at("v").values;
  ASSERT_EQ(values.size(), 4u);
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], 1);
  EXPECT_TRUE(std::isnan(values[2]));
  EXPECT_EQ(values[3], 3);
  EXPECT_EQ(example.numbers.at("t"), 3);
  EXPECT_THROW(render_request(profile(), rows), Error);
  EXPECT_THROW(render_request(profile(), "text"), Error);
}

TEST(Render, BringsATypedSyllableIntoTheFormThatTrainingSaw) {
  EXPECT_EQ(render_request(profile(), json::object{{"remark", "\xE1\x84\x80\xE1\x85\xA1"}}).prompt.substr(0, 3),
            "\xEA\xB0\x80");
}

TEST(Template, GivesNoKeyWhereAFieldIsMissing) {
  Profile keyed = profile();
  keyed.key = "{{ machine }}-{{ n }}";
  Observation row;
  row.fields = {{"machine", "M1"}, {"n", 7.0}};
  EXPECT_EQ(record_key(keyed, row), "M1-7");
  row.fields.erase("n");
  EXPECT_FALSE(record_key(keyed, row).has_value());
}

}  // namespace
}  // namespace platform
