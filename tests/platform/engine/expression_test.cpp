#include "platform/engine/expression.h"

#include <gtest/gtest.h>

namespace platform {
namespace {

Run sample() {
  platform::Run run;
  run.id = RunId("0190aaaa-0000-7000-8000-000000000000");
  run.inputs = {{"rank", 16}, {"line", "3"}, {"ship", false}};
  RunStep step;
  step.definition.name = "tune";
  step.outputs = {{"adapter", {{"digest", "sha256:1"}, {"base", "nano"}}}};
  run.steps.push_back(step);
  return run;
}

TEST(Expression, ATextThatIsOneExpressionTakesTheValueWithItsType) {
  const platform::Run run = sample();
  EXPECT_EQ(resolve(json::value("${{ inputs.rank }}"), run), json::value(16));
  EXPECT_EQ(resolve(json::value("${{steps.tune.adapter.base}}"), run), json::value("nano"));
  EXPECT_TRUE(resolve(json::value("${{ steps.tune.adapter }}"), run).is_object());
}

TEST(Expression, InsideALongerTextTheValueIsWrittenOut) {
  EXPECT_EQ(resolve(json::value("line-${{ inputs.line }}/r${{ inputs.rank }}"), sample()), json::value("line-3/r16"));
  EXPECT_EQ(resolve(json::value("${{ run.id }}"), sample()), json::value("0190aaaa-0000-7000-8000-000000000000"));
}

TEST(Expression, ExpressionsDeepInListsAndMappingsAreReplaced) {
  const json::value value = parse_json(R"({"a": [1, "${{ inputs.rank }}"], "b": {"c": "${{ inputs.line }}"}})", "test");
  EXPECT_EQ(canonical_json(resolve(value, sample())), R"({"a":[1,16],"b":{"c":"3"}})");
}

TEST(Expression, WhatHasNoValueIsAnErrorThatNamesIt) {
  for (const char* text : {"${{ inputs.none }}", "${{ steps.tune.loss }}", "${{ steps.none.x }}", "${{ 1 + 1 }}",
                           "${{ }}", "${{ env.HOME }}", "${{ inputs.rank"}) {
    EXPECT_THROW(resolve(json::value(text), sample()), Error) << text;
  }
}

TEST(Expression, BadExpressionsAreFoundWithTheirPlace) {
  const std::vector<Reference> found = find_references("x ${{ inputs.a }} ${{ input.b }}");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].kind, Reference::Kind::kInput);
  EXPECT_EQ(found[0].begin, 2u);
  EXPECT_EQ(found[1].kind, Reference::Kind::kBad);
  EXPECT_EQ(found[1].begin, 18u);
}

TEST(Expression, ConditionsAreTrueUnlessTheyAreFalseZeroOrEmpty) {
  platform::Run run = sample();
  EXPECT_TRUE(holds("", run));
  EXPECT_FALSE(holds("${{ inputs.ship }}", run));
  EXPECT_TRUE(holds("${{ inputs.rank }}", run));
  run.inputs["ship"] = "no";
  EXPECT_FALSE(holds("${{ inputs.ship }}", run));
  EXPECT_TRUE(holds("true", run));
  EXPECT_FALSE(holds("false", run));
}

TEST(Expression, AConditionIsOneWholeExpressionOrTrueOrFalse) {
  for (const char* good : {"", "true", " false ", "${{ inputs.ship }}"}) EXPECT_EQ(condition_trouble(good), "") << good;
  for (const char* bad : {"no way", "${{ inputs.rank }} > 5", "${{ inputs.a }}${{ inputs.b }}", "${{ 1 + 1 }}", "0"}) {
    EXPECT_NE(condition_trouble(bad), "") << bad;
    EXPECT_THROW(holds(bad, sample()), Error) << bad;
  }
}

}  // namespace
}  // namespace platform
