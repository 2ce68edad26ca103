// `anneal bench adaptation` on public data sets, with the defaults: the three that train fastest have to reach the bars
// that the bench itself holds them against. ANNEAL_DATA_SETS: where the sets lie (../shared/data unless set).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "platform/base/file.h"
#include "tests/support/plant.h"

namespace tests {
namespace {

std::filesystem::path data_sets() {
  const char* given = std::getenv("ANNEAL_DATA_SETS");
  return given == nullptr ? "../shared/data" : given;
}

TEST(AdaptationBenchRealData, TheDefaultsReachTheBarsOfThreeSetsInThreeDomains) {
  for (const char* folder : {"automotive/carobd", "manufacturing/fmc_mwo2kg", "robotics/wall_following"}) {
    if (!std::filesystem::exists(data_sets() / folder))
      GTEST_SKIP() << "the data set is not at " << (data_sets() / folder).string();
  }
  const platform::TemporaryFolder folder;
  const std::string results = folder.path() / "results.json";
  const platform::CommandOutput ran = platform::run_command(
      {program("anneal"), "bench", "adaptation", "--data", data_sets(), "--sets", "carobd,fmc_mwo2kg,wall_following",
       "--seeds", "1", "--folds", "1", "--work", folder.path() / "work", "--json", results});
  ASSERT_EQ(ran.exit_code, 0) << ran.text;
  std::cout << ran.text.substr(ran.text.rfind("set  ")) << "\n";
  const json::value all = platform::read_json_file(results);
  ASSERT_EQ(all.at("sets").as_array().size(), 3u);
  for (const json::value& set : all.at("sets").as_array())
    EXPECT_EQ(set.at("passed"), json::value(true))
        << set.at("set") << ": " << set.at("metric") << " " << set.at("mean") << ", the bar is " << set.at("bar");
}

}  // namespace
}  // namespace tests
