#include "finetune/text/ngram_counts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace finetune {
namespace {

// 300 texts: "every" in all, "third" in each third, and four words a text that stand nowhere else.
void read_texts(NgramCounts& counts, std::size_t& most_held) {
  for (std::size_t text = 0; text < 300; ++text) {
    counts.add("every", text);
    if (text % 3 == 0) counts.add("third", text);
    for (std::size_t word = 0; word < 4; ++word) counts.add("rare " + std::to_string(4 * text + word), text);
    counts.add("every", text);
    most_held = std::max(most_held, counts.held().size());
  }
}

TEST(NgramCounts, AreExactWhereTheTableHoldsAll) {
  NgramCounts counts(2000);
  std::size_t most_held = 0;
  read_texts(counts, most_held);
  EXPECT_EQ(counts.lost(), 0U);
  EXPECT_EQ(counts.held().size(), 1202U);
  EXPECT_EQ(counts.held().at("every").texts, 300U);
  EXPECT_EQ(counts.held().at("third").texts, 100U);
  EXPECT_EQ(counts.held().at("rare 7").texts, 1U);
}

TEST(NgramCounts, StayWithinTheTableAndKeepWhatIsFrequent) {
  NgramCounts counts(100);
  std::size_t most_held = 0;
  read_texts(counts, most_held);
  EXPECT_LE(most_held, 100U);
  ASSERT_GT(counts.lost(), 0U);
  EXPECT_LE(counts.lost(), 1202U / 50U);
  EXPECT_GE(counts.held().at("every").texts, 300U);
  EXPECT_GE(counts.held().at("third").texts, 100U);
}

TEST(NgramCounts, AreExactAfterASecondReading) {
  NgramCounts counts(100);
  std::size_t most_held = 0;
  read_texts(counts, most_held);
  const std::size_t held = counts.held().size();
  counts.recount();
  read_texts(counts, most_held);
  EXPECT_EQ(counts.held().size(), held);
  EXPECT_EQ(counts.held().at("every").texts, 300U);
  EXPECT_EQ(counts.held().at("third").texts, 100U);
}

}  // namespace
}  // namespace finetune
