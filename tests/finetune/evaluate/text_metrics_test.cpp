#include "finetune/evaluate/text_metrics.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

TEST(TextMetrics, ExactMatchLooksAtTokensAndNotAtTheSpaceBetweenThem) {
  EXPECT_TRUE(exact_match("오일 필터  교체\n", "오일 필터 교체"));
  EXPECT_FALSE(exact_match("오일 필터 교체", "오일필터 교체"));
}

TEST(TextMetrics, TokenF1CountsARepeatedTokenAsOftenAsBothHaveIt) {
  EXPECT_NEAR(token_f1("a a b", "a b b"), 2.0 / 3, 1e-12);
  EXPECT_EQ(token_f1("", " "), 1);
  EXPECT_EQ(token_f1("a", ""), 0);
}

TEST(TextMetrics, ACommonSubsequenceKeepsTheOrderOfSteps) {
  const std::vector<std::string> wanted{"walk", "open", "grasp", "close"}, got{"open", "walk", "grasp"};
  const Overlap overlap = common_subsequence(wanted, got);
  EXPECT_NEAR(overlap.precision, 2.0 / 3, 1e-12);
  EXPECT_NEAR(overlap.recall, 0.5, 1e-12);
  EXPECT_NEAR(overlap.f1, 4.0 / 7, 1e-12);
}

TEST(TextMetrics, CharacterScoresCountCharactersAndNotBytes) {
  EXPECT_NEAR(chrf("정상", "정상"), 100, 1e-9);
  EXPECT_EQ(chrf("정상", "경보"), 0);
  EXPECT_GT(chrf("베어링 온도", "베어링온도"), 99.9);
  EXPECT_EQ(chrf("정상", "\xed\x95"), 0) << "ill-formed text is read, not walked over";
}

TEST(TextMetrics, BleuFallsWhenAnAnswerIsTooShort) {
  const std::vector<std::string> wanted{"베어링온도상승"}, whole{"베어링온도상승"}, part{"베어링온도"}, none{""};
  EXPECT_NEAR(character_bleu(wanted, whole), 100, 1e-9);
  EXPECT_NEAR(character_bleu(wanted, part), 100 * std::exp(1 - 7.0 / 5), 1e-9);
  EXPECT_EQ(character_bleu(wanted, none), 0);
}

}  // namespace
}  // namespace finetune
