#include "finetune/adapter/side_features.h"

#include <gtest/gtest.h>

#include <limits>

#include "platform/base/error.h"

namespace finetune {
namespace {

platform::Example example_of(std::optional<double> torque, std::optional<std::string> grade,
                             std::vector<float> samples) {
  platform::Example example;
  example.id = "e";
  example.prompt = "spindle {{ number:torque }} {{ category:grade }} {{ signal:vibration }}";
  example.numbers["torque"] = torque;
  example.categories["grade"] = std::move(grade);
  example.signals["vibration"] = {100, "g", std::move(samples)};
  return example;
}

class SideFeatures : public testing::Test {
 protected:
  SideFeatures() {
    const platform::Example low = example_of(1, "H", {0, 2, 0}), high = example_of(3, "L", {2, 0});
    schema_ = learn_sensor_schema({&low, &high}, 32);
  }
  SensorSchema schema_;
};

TEST_F(SideFeatures, HaveAColumnForTheValueEachStepEachCategoryAndEachSample) {
  ASSERT_EQ(side_width(schema_), 2 + 1 + 2 + 3 + 1);
  const std::vector<float> row = side_input(schema_, example_of(3, "L", {2, 0, 2})).dense;
  EXPECT_EQ(row, (std::vector<float>{0, 1, 1, 0, 1, row[5], row[6], row[5], 0}));
  EXPECT_GT(row[5], 0);
  EXPECT_LT(row[6], 0);
}

TEST_F(SideFeatures, SayWhatIsMissingAndLeaveItsColumnsAtZero) {
  const float unknown = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(side_input(schema_, example_of(std::nullopt, std::nullopt, {unknown, unknown, unknown})).dense,
            (std::vector<float>{1, 0, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(side_input(schema_, example_of(1, "another", {})).dense[3], 0.0f);
}

TEST_F(SideFeatures, ReadTheEndOfASignalAndPutAShortOneAtTheEnd) {
  const std::vector<float> longer = side_input(schema_, example_of(1, "H", {9, 9, 2, 0, 2})).dense;
  const std::vector<float> exact = side_input(schema_, example_of(1, "H", {2, 0, 2})).dense;
  EXPECT_EQ(longer, exact);
  const std::vector<float> shorter = side_input(schema_, example_of(1, "H", {2})).dense;
  EXPECT_EQ(shorter[5], 0.0f);
  EXPECT_EQ(shorter[7], exact[7]);
  EXPECT_NEAR(shorter[8], 2.0f / 3, 1e-6f);
}

TEST_F(SideFeatures, LetTreesAskForValuesFirstThenForWhatIsMissingAndForNoMoreThanAskedFor) {
  EXPECT_EQ(tree_columns(schema_, 100), (std::vector<std::int32_t>{1, 3, 4, 5, 6, 7, 0, 8}));
  EXPECT_EQ(tree_columns(schema_, 7), (std::vector<std::int32_t>{1, 3, 4, 5, 6, 7, 0}));
  EXPECT_EQ(tree_columns(schema_, 3), (std::vector<std::int32_t>{1, 4, 6})) << "values alone, evenly spread";
}

TEST_F(SideFeatures, ReadTheWordingWhereTheSchemaKnowsOne) {
  EXPECT_TRUE(side_input(schema_, example_of(1, "H", {})).text.ids.empty());
  std::vector<platform::Example> examples;
  for (const char* prompt : {"pump leaks", "pump stuck", "valve leaks"}) {
    examples.push_back(example_of(1, "H", {}));
    examples.back().prompt = prompt;
  }
  SensorSchema schema;
  learn_wording(schema, {&examples[0], &examples[1], &examples[2]}, 100);
  EXPECT_FALSE(side_input(schema, examples[0]).text.ids.empty());
  EXPECT_EQ(side_width(schema), 0);
}

TEST_F(SideFeatures, NameTheFieldThatAnExampleLacks) {
  platform::Example example = example_of(1, "H", {});
  example.numbers.clear();
  try {
    side_input(schema_, example);
    FAIL() << "an example without its number was read";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("torque"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace finetune
