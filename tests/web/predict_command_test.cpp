// `anneal predict` against an agent that answers on loopback.
#include <gtest/gtest.h>

#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/deploy/support/serving_fixture.h"
#include "web/client/commands.h"

namespace tests {
namespace {

struct Said {
  int exit_code = 0;
  std::string out, err;
};

class PredictCommand : public ServingFixture {
 protected:
  void SetUp() override {
    ServingFixture::SetUp();
    serve(1);
  }
  std::string write(const std::string& name, const std::string& text) {
    platform::write_file_atomically(folder_.path() / name, text);
    return folder_.path() / name;
  }
  Said predict(const std::string& file, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{file, "--agent", server_->address()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Said said;
    try {
      said.exit_code = web::predict_command(arguments);
    } catch (const platform::Error& error) {
      said.exit_code = platform::exit_code(error.code());
    }
    said.out = testing::internal::GetCapturedStdout();
    said.err = testing::internal::GetCapturedStderr();
    return said;
  }
};

// The first words of each line of a table.
std::vector<std::string> first_words(const std::string& table, int count) {
  std::vector<std::string> found;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string text;
    int left = count;
    for (std::string word; left-- > 0 && words >> word;) text += (text.empty() ? "" : " ") + word;
    found.push_back(text);
  }
  return found;
}

TEST_F(PredictCommand, KeepsTheNumbersOfTheRowsAndNamesTheOneThatCannotBeRead) {
  const std::string file = write("short.csv", "torque,line\n20\n20,A\n-20,B\n");
  const Said said = predict(file);
  EXPECT_EQ(said.exit_code, 2);
  const auto rows = first_words(said.out, 3);
  ASSERT_EQ(rows.size(), 4U) << said.out;
  EXPECT_EQ(rows[0], "ROW LINE ANSWER");
  EXPECT_EQ(rows[1], "2 3 hot");
  EXPECT_EQ(rows[2], "3 4 cold");
  EXPECT_NE(said.err.find(file + ":2: column 2: the row has 1 cells"), std::string::npos) << said.err;
}

TEST_F(PredictCommand, PlacesTheAnswersOfJsonLinesAlsoAsJson) {
  const std::string file = write("parts.jsonl", "{\"torque\":\n{\"torque\":20}\n\n{\"torque\":-20}\n");
  const Said said = predict(file, {"--json"});
  EXPECT_EQ(said.exit_code, 2);
  const json::value answer = json::parse(said.out);
  const json::array& predictions = answer.at("predictions").as_array();
  ASSERT_EQ(predictions.size(), 2U);
  EXPECT_EQ(predictions[0].at("line"), 2);
  EXPECT_EQ(predictions[1].at("line"), 4);
  EXPECT_EQ(predictions[1].at("row"), 3);
  ASSERT_EQ(answer.at("unreadable").as_array().size(), 1U);
  EXPECT_EQ(answer.at("unreadable").as_array()[0].at("line"), 1);
  EXPECT_NE(said.err.find(file + ":1: "), std::string::npos) << said.err;
}

TEST_F(PredictCommand, NamesARowThatTheAgentDoesNotAnswer) {
  const std::string file = write("parts.csv", "torque,line\n20,A\nn/a,B\n");
  const Said said = predict(file);
  EXPECT_EQ(said.exit_code, 2);
  EXPECT_NE(said.err.find(file + ":3: all values are missing or unreadable: torque"), std::string::npos) << said.err;
  EXPECT_EQ(first_words(said.out, 3).at(1), "1 2 hot");
}

TEST_F(PredictCommand, SaysNothingOfRowsThatItWasNotAskedAbout) {
  const Said said = predict(write("parts.csv", "torque,line\n20,A\n-20\n-20,B\n"), {"--rows", "1"});
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_EQ(said.err, "");
  EXPECT_EQ(first_words(said.out, 3).at(1), "1 2 hot");
  EXPECT_EQ(said.out.find("cold"), said.out.npos) << said.out;
}

TEST_F(PredictCommand, NamesEachLineOfAFileInWhichNoneCanBeRead) {
  const std::string file = write("parts.jsonl", "{\"torque\":\n{20}\n");
  const Said said = predict(file);
  EXPECT_EQ(said.exit_code, 2);
  EXPECT_NE(said.err.find(file + ":1: "), std::string::npos) << said.err;
  EXPECT_NE(said.err.find(file + ":2: "), std::string::npos) << said.err;
  EXPECT_EQ(said.out, "");
}

TEST_F(PredictCommand, PrintsEveryLabelThatAppliesWithItsProbability) {
  serve(2, finetune::Task::kMultilabel);
  const Said said = predict(write("parts.csv", "torque\n30\n-30\n"));
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_TRUE(std::regex_search(said.out, std::regex("  1 +2  above, large +[01][.0-9]*, [01][.0-9]*\n"))) << said.out;
  EXPECT_EQ(first_words(said.out, 5).at(2), "2 3 (no label) -");
}

TEST_F(PredictCommand, PrintsEachStepOfAForecastAndTheQuantilesBesideAValue) {
  serve(2, finetune::Task::kForecast);
  const Said steps = predict(write("signals.jsonl", "{\"power\":[20,21]}\n"));
  EXPECT_EQ(steps.exit_code, 0);
  const std::string forecast = first_words(steps.out, 5).at(1);
  EXPECT_TRUE(forecast.starts_with("1 1 2") && forecast.find(", 2") != forecast.npos) << steps.out;
  serve(3, finetune::Task::kRegress);
  const Said value = predict(write("parts.csv", "torque\n10\n"));
  EXPECT_NE(value.out.find(" (0.1: "), value.out.npos) << value.out;
  EXPECT_NE(value.out.find(", 0.9: "), value.out.npos) << value.out;
}

}  // namespace
}  // namespace tests
