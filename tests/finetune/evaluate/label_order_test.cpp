#include "finetune/evaluate/label_order.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"

namespace finetune {
namespace {

using Labels = std::vector<std::string>;

TEST(LabelOrder, PutsNumbersInTheirOrderAndNotInTheAlphabets) {
  EXPECT_EQ(in_order_of_numbers({"10", "2", "-1", "2.5"}), (Labels{"-1", "2", "2.5", "10"}));
  EXPECT_TRUE(all_numeric({"10", "2.5"}));
  EXPECT_FALSE(all_numeric({"10", "low"}));
  EXPECT_FALSE(all_numeric({"nan"}));
}

TEST(LabelOrder, RefusesTwoSpellingsOfOneNumber) {
  try {
    in_order_of_numbers({"2.0", "1", "2"});
    FAIL() << "one of them was first";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.path(), "labels");
    EXPECT_NE(std::string(error.what()).find("\"2.0\" and \"2\" are the same number"), std::string::npos)
        << error.what();
  }
}

TEST(LabelOrder, OfAnOrdinalTaskThePlacesAreScoredWhereTheNumbersDoNotRise) {
  EXPECT_EQ(scored_labels(Task::kOrdinal, {"1", "4", "9"}), (Labels{"1", "4", "9"}));
  EXPECT_EQ(scored_labels(Task::kOrdinal, {"3", "1", "2"}), (Labels{"0", "1", "2"}));
  EXPECT_EQ(scored_labels(Task::kOrdinal, {"low", "high"}), (Labels{"0", "1"}));
  EXPECT_EQ(scored_labels(Task::kClassify, {"3", "1", "2"}), (Labels{"3", "1", "2"}));
}

}  // namespace
}  // namespace finetune
