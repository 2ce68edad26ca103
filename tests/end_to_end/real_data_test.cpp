// Real public data sets through the REST API and the ready workflows, test scores beside the published baselines. The
// files' rows are posted as they are; windows, splits, encodings and metrics are Anneal's. ANNEAL_DATA_SETS: where the
// sets lie (../shared/data unless set). ANNEAL_REAL_DATA=all: also the three sets that take long.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "platform/base/file.h"
#include "platform/base/yaml.h"
#include "tests/support/plant.h"

namespace tests {
namespace {

std::filesystem::path data_sets() {
  const char* given = std::getenv("ANNEAL_DATA_SETS");
  return given == nullptr ? "../shared/data" : given;
}

bool all_wanted() {
  const char* wanted = std::getenv("ANNEAL_REAL_DATA");
  return wanted != nullptr && std::string(wanted) == "all";
}

class AdaptedRealData : public testing::Test {
 protected:
  // True if the test is to be left out.
  bool left_out(const std::string& folder, bool takes_long) {
    folder_of_set_ = data_sets() / folder;
    if (!std::filesystem::exists(folder_of_set_)) return skip("the data set is not at " + folder_of_set_.string());
    if (takes_long && !all_wanted()) return skip("takes long; tests/run.sh real-data runs it");
    server_.start();
    return false;
  }

  // One file as the body of one request.
  void post(const std::string& source, const std::string& profile, const std::string& file, std::int64_t rows,
            const std::string& query = {}) {
    make_source(source, profile);
    platform::HttpClientOptions options;
    options.timeout = std::chrono::minutes(5);
    const auto answer =
        server_.client(options).send(platform::Method::kPost, "/api/v1/sources/" + source + "/records" + query,
                                     platform::read_file(folder_of_set_ / file), "text/csv");
    ASSERT_EQ(answer.status, 200) << answer.body;
    const json::value taken = answer.json();
    EXPECT_EQ(taken.at("accepted"), json::value(rows)) << file;
    EXPECT_TRUE(taken.at("rejected").as_array().empty()) << json::serialize(taken.at("rejected"));
  }

  void make_source(const std::string& source, const std::string& profile) {
    server_.client().post("/api/v1/sources",
                          json::object{{"name", source}, {"connector", "rest_push"}, {"profile", profile}});
  }

  // Runs a ready workflow; the score of its evaluation. Prints all scores beside those of simple models.
  double score(const std::string& workflow, const std::string& source, const std::string& metric) {
    auto client = server_.client();
    const std::string id(
        client.post("/api/v1/runs", json::object{{"workflow", workflow}, {"inputs", json::object{{"source", source}}}})
            .at("id")
            .as_string());
    const bool over = wait_until([&] { return client.get("/api/v1/runs/" + id).at("state") != json::value("running"); },
                                 std::chrono::minutes(24));
    const json::object run = client.get("/api/v1/runs/" + id);
    EXPECT_TRUE(over && run.at("state") == json::value("succeeded")) << json::serialize(run.at("error"));
    for (const json::value& step : run.at("steps").as_array()) {
      if (step.at("name") != json::value("score") || !step.at("outputs").as_object().contains("evaluation")) continue;
      const json::object& evaluation = step.at("outputs").at("evaluation").as_object();
      print("adapted", evaluation.at("scores").as_array());
      for (const auto& [name, scores] : evaluation.at("baselines").as_object())
        print(std::string(name), scores.as_array());
      return value_of(evaluation.at("scores").as_array(), metric);
    }
    ADD_FAILURE() << "the run has no score";
    return std::numeric_limits<double>::quiet_NaN();
  }

 private:
  bool skip(const std::string& reason) {
    [&] { GTEST_SKIP() << reason; }();
    return true;
  }
  static double value_of(const json::array& scores, const std::string& metric) {
    for (const json::value& each : scores) {
      if (each.at("metric") == json::value(metric)) return each.at("value").to_number<double>();
    }
    ADD_FAILURE() << "no score " << metric;
    return std::numeric_limits<double>::quiet_NaN();
  }
  static void print(const std::string& who, const json::array& scores) {
    std::cout << "  " << who << ":";
    for (const json::value& each : scores)
      std::cout << "  " << std::string(each.at("metric").as_string()) << " " << each.at("value").to_number<double>();
    std::cout << "\n";
  }

  std::filesystem::path folder_of_set_;
  platform::TemporaryFolder folder_;

 protected:
  ServerProcess server_{folder_.path() / "server"};
};

TEST_F(AdaptedRealData, CalvinInstructionsAreToldApartInNineOfTenCases) {
  if (left_out("robotics/calvin_lang/calvin_models/conf/annotations", false)) return;
  for (const auto& [source, file] : {std::pair<std::string, std::string>{"calvin-train", "new_playtable.yaml"},
                                     {"calvin-test", "new_playtable_validation.yaml"}}) {
    make_source(source, "robot-instruction");
    json::array rows;
    const json::value annotations = platform::to_json(
        platform::read_yaml_file(data_sets() / "robotics/calvin_lang/calvin_models/conf/annotations" / file));
    for (const auto& [skill, instructions] : annotations.as_object()) {
      for (const json::value& instruction : instructions.as_array())
        rows.push_back(json::object{{"instruction", instruction}, {"skill", skill}});
    }
    ASSERT_EQ(rows.size(), source == "calvin-train" ? 389U : 34U);
    server_.client().post("/api/v1/sources/" + source + "/records", rows);
  }
  std::cout << "majority 0.029, words and linear model 1.000\n";
  EXPECT_GE(score("robot-instruction", "calvin", "accuracy"), 0.90);
}

TEST_F(AdaptedRealData, TheWallFollowingRobotsMovesAreToldFromItsRanges) {
  if (left_out("robotics/wall_following", false)) return;
  post("wall", "robot-navigation", "sensor_readings_24.data", 5456);
  std::cout << "macro-F1: majority 0.144, linear model 0.683, boosted trees 0.996\n";
  EXPECT_GE(score("robot-navigation", "wall", "macro_f1"), 0.90);
}

TEST_F(AdaptedRealData, FailureModesAreToldFromMaintenanceNotes) {
  if (left_out("manufacturing/fmc_mwo2kg/mwo2kg/failure_mode_classification/input_data", false)) return;
  post("fmc-train", "failure-mode", "train.txt", 502);
  post("fmc-dev", "failure-mode", "dev.txt", 62);
  post("fmc-test", "failure-mode", "test.txt", 62);
  std::cout << "accuracy: majority 0.274, words and linear model 0.677\n";
  EXPECT_GE(score("failure-mode", "fmc", "accuracy"), 0.60);
}

TEST_F(AdaptedRealData, LeaguesOfPlayersAreToldFromTheirTelemetry) {
  if (left_out("game/skillcraft1", true)) return;
  post("league", "player-league", "SkillCraft1_Dataset.csv", 3395);
  std::cout << "accuracy, telemetry only: majority 0.230, linear model 0.427, boosted trees 0.355\n";
  EXPECT_GE(score("player-league", "league", "accuracy"), 0.40);
}

TEST_F(AdaptedRealData, FailuresOfTheMillingMachineAreRankedAboveItsGoodCycles) {
  if (left_out("manufacturing/ai4i2020/data/raw", true)) return;
  post("mill", "machine-failure", "ai4i2020.csv", 10000);
  std::cout << "average precision: prevalence 0.037, linear model 0.462, boosted trees 0.805\n";
  EXPECT_GE(score("machine-failure", "mill", "average_precision"), 0.60);
}

TEST_F(AdaptedRealData, CyclesThatAnEngineHasLeftAreToldFromItsHistory) {
  if (left_out("manufacturing/cmapss_fd001/data/raw", true)) return;
  post("engine-train", "remaining-life", "train_FD001.txt", 20631);
  post("engine-test", "remaining-life", "test_FD001.txt", 13096);
  post("engine-truth", "remaining-life", "RUL_FD001.txt", 100, "?columns=remaining&row_number=unit");
  std::cout << "RMSE: mean 40.63, linear model 17.79, boosted trees 15.33\n";
  EXPECT_LE(score("remaining-life", "engine", "rmse"), 17.8);
}

}  // namespace
}  // namespace tests
