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

TEST(TextMetrics, AStepIsALineWithoutItsNumber) {
  const std::vector<std::string> wanted{"Walk to kitchen", "Open fridge"};
  for (const char* plan : {"Step 1: Walk to kitchen\nStep 2: Open fridge", "1. Walk to kitchen\r\n\r\n2. Open fridge\n",
                           "1) Walk to kitchen\n  2) Open fridge ", "1단계: Walk to kitchen\n2단계: Open fridge",
                           "단계 1. Walk to kitchen\n단계 2. Open fridge", "- Walk to kitchen\n* Open fridge",
                           "STEP1:\tWalk to kitchen\nOpen fridge"})
    EXPECT_EQ(steps_of(plan), wanted) << plan;
  EXPECT_EQ(steps_of("2.5 mm drill\nStep ladder: fetch\n12 bolts\nStep 3:\n오일 교체"),
            (std::vector<std::string>{"2.5 mm drill", "Step ladder: fetch", "12 bolts", "오일 교체"}));
}

TEST(TextMetrics, StepsAreComparedInOrderAndWithTheBestOfTheReferences) {
  // Golden: 2 LCS / (len a + len b), worked out by hand.
  EXPECT_NEAR(lcs_f1("1. walk\n2. open\n3. grasp\n4. close", "open\nwalk\ngrasp"), 2.0 * 2 / 7, 1e-12);
  EXPECT_EQ(lcs_f1("a\nb", "a\nb\n"), 1);
  EXPECT_EQ(lcs_f1("a\nb", "c"), 0);
  EXPECT_EQ(lcs_f1("", "Step 1:"), 1) << "neither has a step";
  EXPECT_EQ(lcs_f1("a", ""), 0);
  const std::vector<std::string> others{"x\ny", "b\nc\nd"};
  EXPECT_NEAR(score_answer("a\nb", "b\nc", others).lcs_f1.value(), 2.0 * 2 / 5, 1e-12);
  EXPECT_NEAR(score_answer("a\nb", "b\nc").lcs_f1.value(), 0.5, 1e-12);
  EXPECT_EQ(score_answer("a\nb", "b\nc", others).exact_match, 0) << "of the wanted answer alone";
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
