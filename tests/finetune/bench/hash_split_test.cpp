#include "finetune/bench/hash_split.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

using platform::Split;

// int(hashlib.sha256(key.encode('utf-8')).hexdigest()[:8], 16) % 10 of Python 3.11.
TEST(HashSplit, PutsKeysIntoTheBucketsThatEverybodyElseGets) {
  EXPECT_EQ(hash_bucket(""), 0);
  EXPECT_EQ(hash_bucket("ai4i-1"), 8);
  EXPECT_EQ(hash_bucket("ai4i-11"), 9);
  EXPECT_EQ(hash_bucket("sc2-52"), 5);
  EXPECT_EQ(hash_bucket("fmc-falure"), 3);
  EXPECT_EQ(hash_bucket("room-132"), 2);
  EXPECT_EQ(hash_bucket("vh-write an email"), 2);
  EXPECT_EQ(hash_bucket("Body/Body.vspec"), 5);
  EXPECT_EQ(hash_bucket("한국어"), 6);
}

TEST(HashSplit, TrainsOnSevenBucketsAndTestsOnTwo) {
  // ai4i-N in bucket 0, 6, 7, 8, 9.
  EXPECT_EQ(hash_split("ai4i-10"), Split::kTrain);
  EXPECT_EQ(hash_split("ai4i-3"), Split::kTrain);
  EXPECT_EQ(hash_split("ai4i-18"), Split::kValidation);
  EXPECT_EQ(hash_split("ai4i-1"), Split::kTest);
  EXPECT_EQ(hash_split("ai4i-11"), Split::kTest);
}

TEST(HashSplit, TestsEveryKeyInOneFoldAndValidatesItInOneAtMost) {
  for (int i = 0; i < 200; ++i) {
    const std::string key = "key-" + std::to_string(i);
    int tested = 0, validated = 0;
    for (int fold = 0; fold < kHashFolds; ++fold) {
      tested += hash_fold(key, fold) == Split::kTest ? 1 : 0;
      validated += hash_fold(key, fold) == Split::kValidation ? 1 : 0;
    }
    EXPECT_EQ(tested, 1) << key;
    EXPECT_EQ(validated, hash_bucket(key) % 2 == 0 ? 1 : 0) << key;
  }
  EXPECT_EQ(hash_fold("ai4i-10", 0), Split::kTest) << "bucket 0";
  EXPECT_EQ(hash_fold("ai4i-10", 4), Split::kValidation) << "the circle closes";
  EXPECT_EQ(hash_fold("ai4i-5", 0), Split::kValidation) << "bucket 2";
  EXPECT_EQ(hash_fold("ai4i-30", 0), Split::kTrain) << "bucket 3";
}

}  // namespace
}  // namespace finetune
