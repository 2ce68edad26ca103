#include "finetune/bench/public_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "finetune/evaluate/metrics.h"

namespace finetune {
namespace {

TEST(PublicSets, AreTenInFourDomainsInOrder) {
  std::set<std::string> domains;
  std::vector<std::string> places;
  for (const PublicSet& set : public_sets()) {
    domains.insert(set.domain);
    places.push_back(set.domain + "/" + set.name);
    EXPECT_EQ(set.folder.substr(0, set.folder.find('/')), set.domain) << set.name;
    EXPECT_GT(set.test_examples, 0) << set.name;
  }
  EXPECT_EQ(places.size(), 10u);
  EXPECT_EQ(domains.size(), 4u);
  EXPECT_TRUE(std::is_sorted(places.begin(), places.end()));
}

TEST(PublicSets, AreScoredByAMetricThatTheirTaskHas) {
  for (const PublicSet& set : public_sets()) {
    const std::vector<std::string> labels = set.labels.empty() ? std::vector<std::string>{"0", "1"} : set.labels;
    std::vector<std::string> known = metrics_of(set.task, labels);
    if (set.task == Task::kLanguageModel) known = answer_metrics();
    EXPECT_NE(std::find(known.begin(), known.end(), set.metric), known.end()) << set.name << " " << set.metric;
    // Scores of folds are put together by their examples.
    EXPECT_TRUE(set.folds == 1 || set.metric == "accuracy") << set.name;
  }
}

TEST(PublicSets, SetNothingButWhatAProfileStates) {
  const std::set<std::string> of_a_profile{"metric", "continues", "remembered_answers"};
  for (const PublicSet& set : public_sets()) {
    for (const auto& pair : set.settings) EXPECT_TRUE(of_a_profile.contains(std::string(pair.key()))) << set.name;
    EXPECT_NO_THROW(train_config_from_json(set.settings).validate()) << set.name;
  }
}

TEST(PublicSets, AskForMoreThanTheBaselineThatLearnsNothing) {
  for (const PublicSet& set : public_sets()) {
    ASSERT_FALSE(set.classical.empty()) << set.name;
    const double idle = set.classical.front().value;
    EXPECT_TRUE(higher_is_better(set.metric) ? set.bar > idle : set.bar < idle) << set.name;
  }
}

}  // namespace
}  // namespace finetune
