#include "finetune/text/text_features.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "platform/base/error.h"

namespace finetune {
namespace {

float weight_of(const TextFeatures& features, const std::string& text, const std::string& ngram) {
  const TextWeights weights = features.weights(text);
  for (std::size_t i = 0; i < weights.ids.size(); ++i) {
    if (weights.ids[i] == features.rank(ngram)) return weights.weights[i];
  }
  return 0;
}

TEST(TextFeatures, KnowWhatStandsInTwoTextsAndNotInAll) {
  const TextFeatures features =
      TextFeatures::learn({"the pump leaks oil", "the pump is stuck", "the valve leaks oil"}, 1000);
  EXPECT_GE(features.rank("\x01pump"), 0);
  EXPECT_GE(features.rank("\x01leaks oil"), 0);
  EXPECT_GE(features.rank("eak"), 0);
  EXPECT_EQ(features.rank("\x01the"), -1) << "it stands in every text";
  EXPECT_EQ(features.rank("\x01valve"), -1) << "it stands in one text";
}

TEST(TextFeatures, WeighByTfIdfInUnitsOfOneForWordsAndForPieces) {
  const TextFeatures features = TextFeatures::learn({"aa bb", "aa bb", "aa cc", "dd cc"}, 1000);
  // idf: aa in 3 of 4 texts, bb and "aa bb" in 2.
  const double aa = std::log(5.0 / 4.0) + 1, bb = std::log(5.0 / 3.0) + 1;
  const double twice = 1 + std::log(2.0);
  const double length = std::sqrt(twice * twice * aa * aa + bb * bb + bb * bb);
  EXPECT_NEAR(weight_of(features, "aa aa bb",
                        "\x01"
                        "aa"),
              twice * aa / length, 1e-6);
  EXPECT_NEAR(weight_of(features, "aa aa bb",
                        "\x01"
                        "aa bb"),
              bb / length, 1e-6);
  const TextWeights weights = features.weights("aa aa bb");
  std::set<std::int32_t> of_words;
  for (const std::string& ngram : features.ngrams()) {
    if (ngram.front() == '\x01') of_words.insert(features.rank(ngram));
  }
  double words = 0, pieces = 0;
  for (std::size_t i = 0; i < weights.ids.size(); ++i) {
    const bool word = of_words.contains(weights.ids[i]);
    (word ? words : pieces) += static_cast<double>(weights.weights[i]) * static_cast<double>(weights.weights[i]);
  }
  EXPECT_NEAR(words, 1, 1e-5);
  EXPECT_NEAR(pieces, 1, 1e-5);
}

TEST(TextFeatures, RankFirstWhatTheMostTextsHave) {
  const TextFeatures features = TextFeatures::learn({"aa bb", "aa bb", "aa cc", "dd cc"}, 1000);
  EXPECT_EQ(std::min(features.rank("\x01"
                                   "aa"),
                     features.rank("aa")),
            0);
  EXPECT_LT(features.rank("\x01"
                          "aa"),
            features.rank("\x01"
                          "bb"));
  EXPECT_EQ(features.rank("\x01"
                          "zz"),
            -1);
}

TEST(TextFeatures, TakeLettersOfAnyCaseAndWholeHangul) {
  const TextFeatures features = TextFeatures::learn({"베어링 과열 A", "베어링 누유 A", "펌프 과열 B"}, 1000);
  EXPECT_GE(features.rank("\x01베어링"), 0);
  EXPECT_GE(features.rank("어링"), 0);
  EXPECT_EQ(features.weights("베어링 a").ids, features.weights("베어링 A").ids);
}

TEST(TextFeatures, KeepTheMostFrequentOnesWithinTheLimit) {
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i) texts.push_back("common w" + std::to_string(i / 2) + (i % 4 == 0 ? " often" : ""));
  const TextFeatures features = TextFeatures::learn(texts, 20);
  EXPECT_EQ(features.ngrams().size(), 20U);
  EXPECT_GE(features.rank("\x01often"), 0);
  EXPECT_TRUE(TextFeatures::learn(texts, 0).empty());
}

TEST(TextFeatures, AreTheSameFromASmallTableWhereTheFrequentOnesAreFarFromRare) {
  std::vector<std::string> texts;
  for (int i = 0; i < 400; ++i)
    texts.push_back((i % 3 == 0   ? "베어링 과열"
                     : i % 3 == 1 ? "펌프 누유"
                                  : "오일 교체") +
                    std::string(" n") + std::to_string(i * 7919));
  const TextFeatures all = TextFeatures::learn(texts, 12);
  const TextFeatures few = TextFeatures::learn(texts, 12, {.candidates = 1000});
  EXPECT_EQ(few.ngrams(), all.ngrams());
  EXPECT_EQ(few.idf(), all.idf());
}

TEST(TextFeatures, LeaveOffBetweenTextsWhenAskedToStop) {
  const std::vector<std::string> texts(6, std::string(1 << 17, 'a') + " b");
  int questions = 0;
  try {
    TextFeatures::learn(texts, 100, {.should_stop = [&] { return ++questions == 2; }});
    FAIL() << "learned to the end";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCancelled);
  }
  EXPECT_EQ(questions, 2);
}

TEST(TextFeatures, AreEmptyWhereTextsDoNotDiffer) {
  EXPECT_TRUE(TextFeatures::learn({"same text", "same text"}, 100).empty());
  EXPECT_TRUE(TextFeatures::learn({}, 100).empty());
  EXPECT_TRUE(TextFeatures().weights("anything").ids.empty());
}

TEST(TextFeatures, ReadTextThatIsNoUtf8AndNothingAtAll) {
  const TextFeatures features = TextFeatures::learn({"pump x", "pump y", "valve x"}, 100);
  EXPECT_FALSE(features.weights("pump\xff x").ids.empty());
  EXPECT_TRUE(features.weights("").ids.empty());
  EXPECT_TRUE(features.weights("無關").ids.empty());
}

TEST(TextFeatures, ComeBackFromWhatAManifestHolds) {
  const TextFeatures features = TextFeatures::learn({"pump x", "pump y", "valve x"}, 100);
  const TextFeatures again(features.ngrams(), features.idf());
  EXPECT_EQ(again.weights("pump x").weights, features.weights("pump x").weights);
  EXPECT_THROW(TextFeatures({"b", "a"}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(TextFeatures({"a", "b"}, {1}), std::invalid_argument);
  EXPECT_THROW(TextFeatures({"a"}, {0}), std::invalid_argument);
  EXPECT_THROW(TextFeatures({""}, {1}), std::invalid_argument);
}

}  // namespace
}  // namespace finetune
