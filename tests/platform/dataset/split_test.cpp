#include "platform/dataset/split.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace platform {
namespace {

std::vector<SplitItem> items(int count, int groups = 0) {
  std::vector<SplitItem> out(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    SplitItem& item = out[static_cast<std::size_t>(i)];
    item.source = "s";
    item.key = std::to_string(i);
    item.hash_key = "k-" + std::to_string(i);
    item.group = groups == 0 ? "" : "g" + std::to_string(i % groups);
    item.label = i % 10 == 0 ? "rare" : "often";
    item.first = item.last = {static_cast<double>(i), {}};
  }
  return out;
}

std::map<Split, int> counts(const std::vector<std::optional<Split>>& parts) {
  std::map<Split, int> out;
  for (const auto& part : parts) {
    if (part) ++out[*part];
  }
  return out;
}

SplitRule rule(std::string_view text) { return split_rule_from_json(json::parse(text)); }

TEST(Split, KeepsAGroupOnOneSideAndHitsTheShares) {
  const auto all = items(1000, 40);
  const auto parts = assign_splits(rule(R"({"by": "group", "validation": 0.1, "test": 0.2})"), all);
  std::map<std::string, std::set<std::optional<Split>>> sides;
  for (std::size_t i = 0; i < all.size(); ++i) sides[all[i].group].insert(parts[i]);
  for (const auto& [group, side] : sides) EXPECT_EQ(side.size(), 1u) << group;
  EXPECT_EQ(counts(parts)[Split::kTest], 200);
  EXPECT_EQ(counts(parts)[Split::kValidation], 100);
}

TEST(Split, DoesNotDependOnTheOrderOfArrival) {
  for (const char* text :
       {R"({"by": "group"})", R"({"by": "hash"})", R"({"by": "time"})", R"({"by": "given", "sources": {"t*": "test"}})",
        R"({"by": "group", "folds": 5, "fold": 2})"}) {
    auto all = items(300);
    const auto parts = assign_splits(rule(text), all);
    std::reverse(all.begin(), all.end());
    auto reversed = assign_splits(rule(text), all);
    std::reverse(reversed.begin(), reversed.end());
    EXPECT_EQ(parts, reversed) << text;
  }
}

TEST(Split, KeepsTheShareOfEachClassAmongSingleRows) {
  const auto all = items(1000);
  const auto parts = assign_splits(SplitRule{}, all);
  int rare = 0;
  for (std::size_t i = 0; i < all.size(); ++i) rare += parts[i] == Split::kTest && all[i].label == "rare" ? 1 : 0;
  EXPECT_EQ(counts(parts)[Split::kTest], 200);
  EXPECT_NEAR(rare, 20, 1);
}

TEST(Split, CutsTimeAndLeavesOutWhatReachesOverTheCut) {
  auto all = items(100);
  auto parts = assign_splits(rule(R"({"by": "time", "validation": 0.1, "test": 0.2, "gap": 2})"), all);
  EXPECT_EQ(parts[69], Split::kTrain);
  EXPECT_FALSE(parts[70].has_value());
  EXPECT_EQ(parts[72], Split::kValidation);
  EXPECT_EQ(parts[99], Split::kTest);
  for (SplitItem& item : all) item.first.number = std::max(0.0, item.last.number - 5);
  parts = assign_splits(rule(R"({"by": "time", "validation": 0, "test": 0.2})"), all);
  EXPECT_EQ(parts[79], Split::kTrain);
  EXPECT_FALSE(parts[84].has_value());
  EXPECT_EQ(parts[85], Split::kTest);
}

TEST(Split, FollowsTheHashRuleOfTheDataPage) {
  // The first eight hex digits of sha256(key), from coreutils' sha256sum.
  const std::map<std::string, std::uint32_t> known{{"", 0xe3b0c442u},
                                                   {"k-0", 0x8d07de48u},
                                                   {"sc2-52", 0xbfd2a063u},
                                                   {"sc2-10090", 0x84d15307u},
                                                   {"삐걱", 0x51f00bafu}};
  for (const auto& [key, hash] : known) EXPECT_EQ(split_hash(key), hash) << key;
  const auto parts = assign_splits(rule(R"({"by": "hash"})"), items(2000));
  const auto all = items(2000);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto bucket = split_hash(all[i].hash_key) % 10;
    EXPECT_EQ(parts[i], bucket >= 8 ? Split::kTest : bucket == 7 ? Split::kValidation : Split::kTrain);
  }
}

TEST(Split, PutsTheseKeysIntoThesePartsForEver) {
  const auto parts = assign_splits(rule(R"({"by": "hash"})"), items(12));
  const std::vector<std::optional<Split>> expected{Split::kTrain, Split::kTrain, Split::kTrain, Split::kTrain,
                                                   Split::kTrain, Split::kTest,  Split::kTrain, Split::kTrain,
                                                   Split::kTrain, Split::kTrain, Split::kTrain, Split::kTrain};
  EXPECT_EQ(parts, expected);
}

TEST(Split, GivesEveryItemToExactlyOneFold) {
  const auto all = items(200);
  std::vector<int> tests(all.size());
  for (int fold = 0; fold < 5; ++fold) {
    SplitRule folded;
    folded.by = SplitBy::kHash;
    folded.folds = 5;
    folded.fold = fold;
    const auto parts = assign_splits(folded, all);
    for (std::size_t i = 0; i < all.size(); ++i) tests[i] += parts[i] == Split::kTest ? 1 : 0;
  }
  for (const int count : tests) EXPECT_EQ(count, 1);
}

TEST(Split, RefusesRulesThatCannotBeMeant) {
  for (const char* text :
       {R"({"by": "grup"})", R"({"tset": 0.2})", R"({"by": "group", "test": 0.95, "validation": 0.1})",
        R"({"by": "given"})", R"({"by": "hash", "test_buckets": [10]})", R"({"by": "time", "folds": 5})"}) {
    EXPECT_THROW(rule(text), Error) << text;
  }
  EXPECT_EQ(split_rule_from_json(to_json(rule(R"({"by": "given", "sources": {"*-test": "test"}})"))),
            rule(R"({"by": "given", "sources": {"*-test": "test"}})"));
}

TEST(Split, MatchesSourceNamesWithStars) {
  EXPECT_TRUE(matches("*-test", "fmc-test"));
  EXPECT_TRUE(matches("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches("*-test", "fmc-tests"));
  EXPECT_TRUE(matches("x", "x"));
}

}  // namespace
}  // namespace platform
