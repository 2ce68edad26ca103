// The six public data sets: their rows, as published, through the door and a shipped profile into a snapshot.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "connectors/profiles.h"
#include "connectors/record_parser.h"
#include "platform/base/file.h"
#include "platform/base/yaml.h"
#include "platform/dataset/render.h"
#include "platform/dataset/snapshot.h"

namespace connectors {
namespace {

namespace json = platform::json;
using platform::Observation;
using platform::SnapshotResult;

std::filesystem::path data_sets() {
  const char* given = std::getenv("ANNEAL_DATA_SETS");
  return given != nullptr ? given : "../shared/data";
}

class SnapshotRealData : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(data_sets() / "README.md")) GTEST_SKIP() << "no public data sets at " << data_sets();
  }

  // Posts the file's bytes to a source of the profile.
  void post(const std::string& file, const std::string& source, json::object over = {}) {
    const InputFormat input = InputFormat::from_json(merged(profile_.input, over));
    ParsedRecords parsed =
        parse_records(platform::read_file(data_sets() / file),
                      over.empty() && input.format == "lines" ? "text/plain" : "text/csv", input, profile_, source);
    EXPECT_TRUE(parsed.errors.empty()) << parsed.errors.size()
                                       << " errors, first: " << (parsed.errors.empty() ? "" : parsed.errors[0].message);
    for (Observation& row : parsed.records) records_.push_back(std::move(row));
  }

  SnapshotResult build() {
    const SnapshotResult result = platform::build_snapshot(profile_, records_);
    std::reverse(records_.begin(), records_.end());
    EXPECT_EQ(platform::build_snapshot(profile_, records_).content_hash, result.content_hash)
        << "the order of arrival matters";
    return result;
  }

  static std::int64_t count(const SnapshotResult& result, const char* part) {
    const json::value* value = result.statistics.at("splits").as_object().if_contains(part);
    return value == nullptr ? 0 : value->as_int64();
  }

  platform::Profile profile_;
  std::vector<Observation> records_;
};

TEST_F(SnapshotRealData, OfSkillcraftHasTheHashSplitOfItsPage) {
  profile_ = load_profile("player-league");
  post("game/skillcraft1/SkillCraft1_Dataset.csv", "skillcraft");
  const SnapshotResult result = build();
  EXPECT_EQ(count(result, "train") + count(result, "validation"), 2742);
  EXPECT_EQ(count(result, "test"), 653);
  EXPECT_EQ(result.profile.target.labels.size(), 8u);
}

TEST_F(SnapshotRealData, OfWallFollowingCutsTime) {
  profile_ = load_profile("robot-navigation");
  post("robotics/wall_following/sensor_readings_24.data", "wall");
  const SnapshotResult result = build();
  EXPECT_EQ(count(result, "train") + count(result, "validation"), 4092);
  EXPECT_EQ(count(result, "test"), 1364);
  EXPECT_EQ(result.examples[0].numbers.size(), 24u);
  EXPECT_EQ(result.profile.target.labels.size(), 4u);
}

TEST_F(SnapshotRealData, OfAi4iHasTheHashSplitAndThePositivesOfItsPage) {
  profile_ = load_profile("machine-failure");
  post("manufacturing/ai4i2020/data/raw/ai4i2020.csv", "ai4i");
  const SnapshotResult result = build();
  EXPECT_EQ(count(result, "train") + count(result, "validation"), 7963);
  EXPECT_EQ(count(result, "test"), 2037);
  EXPECT_EQ(result.statistics.at("labels").at("test").at("1").as_int64(), 75);
  EXPECT_EQ(result.examples[0].numbers.size(), 5u);
  EXPECT_EQ(result.examples[0].categories.size(), 1u);
}

TEST_F(SnapshotRealData, OfFailureModesKeepsTheOfficialFiles) {
  profile_ = load_profile("failure-mode");
  const std::string folder = "manufacturing/fmc_mwo2kg/mwo2kg/failure_mode_classification/input_data/";
  for (const char* part : {"train", "dev", "test"}) post(folder + part + ".txt", std::string("fmc-") + part);
  const SnapshotResult result = build();
  EXPECT_EQ(count(result, "train"), 502);
  EXPECT_EQ(count(result, "validation"), 62);
  EXPECT_EQ(count(result, "test"), 62);
  EXPECT_EQ(result.profile.target.labels.size(), 22u);
  EXPECT_EQ(result.report.at("duplicates_across_parts").at("count").as_int64(), 0);
}

TEST_F(SnapshotRealData, OfTurbofansHasOneWindowForEachTestEngine) {
  profile_ = load_profile("remaining-life");
  const std::string folder = "manufacturing/cmapss_fd001/data/raw/";
  post(folder + "train_FD001.txt", "cmapss-train");
  post(folder + "test_FD001.txt", "cmapss-test");
  post(folder + "RUL_FD001.txt", "cmapss-truth", {{"columns", json::array{"remaining"}}, {"row_number", "unit"}});
  const SnapshotResult result = build();
  EXPECT_EQ(count(result, "test"), 100);
  EXPECT_GT(count(result, "train"), 3000);
  EXPECT_GT(count(result, "validation"), 200);
  EXPECT_EQ(result.report.at("groups_across_parts").at("count").as_int64(), 0);
  EXPECT_EQ(result.examples[0].signals.size(), 15u);
  double squares = 0, mean = 0;
  std::int64_t trained = 0;
  for (const auto& example : result.examples) {
    for (const auto& [name, signal] : example.signals)
      ASSERT_EQ(signal.values.size(), 30u) << example.id << " " << name;
    if (example.split != platform::Split::kTest) mean += *example.value, ++trained;
  }
  mean /= static_cast<double>(trained);
  for (const auto& example : result.examples)
    squares += example.split == platform::Split::kTest ? (*example.value - mean) * (*example.value - mean) : 0;
  EXPECT_NEAR(std::sqrt(squares / 100), 40.63, 0.5) << "the score of the mean on the data page";
}

TEST_F(SnapshotRealData, OfCalvinKeepsTheValidationFileForTheTest) {
  profile_ = load_profile("robot-instruction");
  const std::string folder = "robotics/calvin_lang/calvin_models/conf/annotations/new_playtable";
  for (const auto& [file, source] :
       {std::pair<std::string, std::string>{".yaml", "calvin-train"}, {"_validation.yaml", "calvin-test"}}) {
    json::array rows;
    for (const auto& [skill, sentences] : platform::read_yaml_file(data_sets() / (folder + file)).entries) {
      for (const auto& sentence : sentences.items)
        rows.push_back(json::object{{"instruction", sentence.scalar}, {"skill", skill.scalar}});
    }
    for (Observation& row : parse_records(json::serialize(rows), "application/json", {}, profile_, source).records)
      records_.push_back(std::move(row));
  }
  const SnapshotResult result = build();
  EXPECT_EQ(count(result, "train") + count(result, "validation"), 389);
  EXPECT_EQ(count(result, "test"), 34);
  EXPECT_EQ(result.profile.target.labels.size(), 34u);
}

TEST_F(SnapshotRealData, RendersARawRowForTheAgentExactlyAsForTraining) {
  profile_ = load_profile("machine-failure");
  post("manufacturing/ai4i2020/data/raw/ai4i2020.csv", "ai4i");
  const SnapshotResult result = platform::build_snapshot(profile_, records_);
  const platform::Profile carried = platform::profile_from_json(platform::to_json(result.profile));
  std::map<std::string, const platform::Example*> by_id;
  for (const auto& example : result.examples) by_id[example.id] = &example;
  for (std::size_t i = 0; i < records_.size(); i += 500) {
    const platform::Example served = platform::render_request(carried, records_[i].fields);
    const platform::Example& trained = *by_id.at("ai4i/" + records_[i].key);
    EXPECT_EQ(served.prompt, trained.prompt);
    EXPECT_EQ(served.numbers, trained.numbers);
    EXPECT_EQ(served.categories, trained.categories);
  }
}

}  // namespace
}  // namespace connectors
