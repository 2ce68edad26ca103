#include "platform/base/did_you_mean.h"

#include <gtest/gtest.h>

#include <chrono>

namespace platform {
namespace {

using Words = std::vector<std::string>;

TEST(DidYouMean, NamesTheNearestWordAndOfEquallyNearOnesTheFirst) {
  EXPECT_EQ(did_you_mean("nedes", Words{"uses", "needs", "with"}), " (did you mean 'needs'?)");  // a swap counts one
  EXPECT_EQ(did_you_mean("need", Words{"uses", "needs", "nee"}), " (did you mean 'needs'?)");
  EXPECT_EQ(did_you_mean("kitten", Words{"sitting", "kitte", "smitten"}), " (did you mean 'kitte'?)");
  EXPECT_EQ(did_you_mean("learning_rte", Words{"learning_rate_of_all", "learning_rate"}),
            " (did you mean 'learning_rate'?)");
}

TEST(DidYouMean, NamesNothingThatIsMoreThanAThirdOfTheWordAway) {
  EXPECT_EQ(did_you_mean("sitting", Words{"kitten"}), "");  // three edits of seven letters
  EXPECT_EQ(did_you_mean("settings", Words{"sitting"}), " (did you mean 'sitting'?)");
  EXPECT_EQ(did_you_mean("settings", Words{"sittin"}), "");
  EXPECT_EQ(did_you_mean("shp", Words{"name", ""}), "");
  EXPECT_EQ(did_you_mean(std::string(100000, 'x'), Words{"needs", "uses"}), "");
  EXPECT_EQ(did_you_mean(std::string(65, 'a'), Words{std::string(65, 'b')}), "");
}

TEST(DidYouMean, FarLongerWordsCostNothing) {
  const Words candidates(200, std::string(1 << 20, 'q'));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(did_you_mean(std::string(64, 'q'), candidates), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace platform
