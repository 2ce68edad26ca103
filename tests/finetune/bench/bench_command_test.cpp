#include <gtest/gtest.h>

#include "finetune/bench/public_set.h"
#include "finetune/commands/commands.h"
#include "platform/base/error.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

class BenchCommand : public testing::Test {
 protected:
  void SetUp() override { support::write_tiny_base(path("base")); }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  int bench(const Arguments& more) const {
    Arguments arguments{"adaptation", "--data",         path("data"), "--base", path("base"),
                        "--work",     path("the.work"), "--threads",  "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return bench_command(arguments);
  }
  std::string refusal(const Arguments& more) const {
    try {
      bench(more);
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "nothing was refused";
    return {};
  }
  platform::TemporaryFolder folder_;
};

TEST_F(BenchCommand, HasARowForEverySetThatIsNotThere) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(bench({"--json", path("all.json"), "--markdown", path("all.md")}), 0);
  const std::string table = testing::internal::GetCapturedStdout();
  const platform::json::value all = platform::read_json_file(path("all.json"));
  ASSERT_EQ(all.at("sets").as_array().size(), public_sets().size());
  const std::string markdown = platform::read_file(path("all.md"));
  for (const PublicSet& set : public_sets()) {
    const std::string reason = "the data set is not at " + (path("data") / set.folder).string();
    EXPECT_NE(table.find(reason), std::string::npos) << table;
    EXPECT_NE(markdown.find("| " + reason + " |"), std::string::npos) << markdown;
  }
  EXPECT_NE(table.find("0 of 0 measured sets pass, 10 were not there"), std::string::npos) << table;
}

TEST_F(BenchCommand, TakesASetOnceAndInTheOrderThatItIsNamedIn) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(bench({"--sets", "wall_following,carobd,wall_following", "--json", path("all.json")}), 0);
  testing::internal::GetCapturedStdout();
  const platform::json::value all = platform::read_json_file(path("all.json"));
  ASSERT_EQ(all.at("sets").as_array().size(), 2u);
  EXPECT_EQ(all.at("sets").as_array()[0].at("set"), platform::json::value("wall_following"));
}

TEST_F(BenchCommand, RefusesASetThatIsNotAsPublished) {
  std::filesystem::create_directories(path("data") / "game/skillcraft1");
  platform::write_file_atomically(path("data") / "game/skillcraft1/SkillCraft1_Dataset.csv",
                                  "GameID,LeagueIndex,APM\n21,5,143.7\n3,1,9\n");
  EXPECT_NE(
      refusal({"--sets", "skillcraft1"}).find("game/skillcraft1 is not as published: 1 test examples instead of 653"),
      std::string::npos);
  platform::write_file_atomically(path("data") / "game/skillcraft1/SkillCraft1_Dataset.csv",
                                  "GameID,LeagueIndex,APM\n21,5,143.7\n3,1\n");
  EXPECT_NE(refusal({"--sets", "skillcraft1"}).find("SkillCraft1_Dataset.csv:3: the row has 2 cells"),
            std::string::npos);
}

TEST_F(BenchCommand, SaysWhatItDoesNotKnow) {
  EXPECT_NE(refusal({"--sets", "carobd,wall_folowing"}).find("(did you mean 'wall_following'?)"), std::string::npos);
  platform::write_file_atomically(path("ablation.yaml"), "max_step: 2\n");
  EXPECT_NE(refusal({"--config", path("ablation.yaml")}).find("max_steps"), std::string::npos);
  platform::write_file_atomically(path("ablation.yaml"), "max_steps: 2\n  seeds: 1\n");
  EXPECT_NE(refusal({"--config", path("ablation.yaml")}).find("ablation.yaml:2:"), std::string::npos);
  EXPECT_NE(refusal({"--seeds", "0"}).find("seeds must be 1 to 100"), std::string::npos);
  EXPECT_THROW(bench_command({"adaption"}), platform::Error);
  testing::internal::CaptureStdout();
  EXPECT_EQ(bench_command({"--help"}), 0);
  EXPECT_EQ(bench_command({"adaptation", "--help"}), 0);
  const std::string help = testing::internal::GetCapturedStdout();
  for (const char* option : {"--data", "--sets", "--seeds", "--work", "--markdown", "ANNEAL_DATA_SETS"})
    EXPECT_NE(help.find(option), std::string::npos) << option;
}

}  // namespace
}  // namespace finetune
