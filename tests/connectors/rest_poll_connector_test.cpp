#include "connectors/rest_poll_connector.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace connectors {
namespace {

namespace json = platform::json;

// An API that gives prepared answers by what it is asked.
class RestPoll : public ::testing::Test {
 protected:
  std::map<std::string, std::string> answers;
  std::vector<std::string> targets;
  SourceConfig config;
  json::value cursor;

  RestPoll() {
    config.name = "s";
    config.settings = {
        {"items", "items"}, {"cursor", json::object{{"param", "after"}, {"next", "next"}}}, {"sequence", "sequence"}};
  }
  // One reading with an object of its own.
  RecordBatch read() {
    RecordBatch all;
    const auto connector = make_rest_poll_connector(config, [&](const std::string& target) {
      targets.push_back(target);
      return json::parse(R"({"items": [)" + answers[target] + "}");
    });
    connector->read(cursor, [&](RecordBatch&& batch) {
      std::move(batch.records.begin(), batch.records.end(), std::back_inserter(all.records));
      std::move(batch.errors.begin(), batch.errors.end(), std::back_inserter(all.errors));
      std::move(batch.gaps.begin(), batch.gaps.end(), std::back_inserter(all.gaps));
      cursor = batch.cursor;
      return true;
    });
    return all;
  }
  static std::string item(int sequence) {
    return R"({"sequence": )" + std::to_string(sequence) + R"(, "event_time": "2026-01-01T00:00:0)" +
           std::to_string(sequence) + R"(Z"})";
  }
  static std::string time(const platform::Time& time) { return platform::format_time(time).substr(17); }
};

TEST_F(RestPoll, RecordsAGapFromTheRecordBeforeToTheRecordAfterAlsoBetweenTwoPagesAndTwoReadings) {
  answers["/"] = item(1) + "," + item(2) + "," + item(4) + R"(], "next": 5)";
  answers["/?after=5"] = item(6) + R"(], "next": 7)";
  answers["/?after=7"] = "]";
  RecordBatch batch = read();
  ASSERT_EQ(batch.gaps.size(), 2u);
  EXPECT_NE(batch.gaps[0].reason.find("3 to 3"), std::string::npos);
  EXPECT_EQ(time(batch.gaps[0].from) + time(batch.gaps[0].to), "02Z04Z");
  EXPECT_NE(batch.gaps[1].reason.find("5 to 5"), std::string::npos);
  EXPECT_EQ(time(batch.gaps[1].from) + time(batch.gaps[1].to), "04Z06Z");
  answers["/?after=7"] = item(9) + R"(], "next": 10)";
  answers["/?after=10"] = "]";
  batch = read();
  ASSERT_EQ(batch.gaps.size(), 1u);
  EXPECT_EQ(time(batch.gaps[0].from) + time(batch.gaps[0].to), "06Z09Z");
  EXPECT_EQ(targets, (std::vector<std::string>{"/", "/?after=5", "/?after=7", "/?after=7", "/?after=10"}));
}

TEST_F(RestPoll, KeepsTheLastKnownNumberWhereTheLastRecordLacksIt) {
  answers["/"] = item(1) + R"(, {"a": 1}], "next": 1)";
  answers["/?after=1"] = item(2) + R"(, {"a": 1}], "next": 2)";
  answers["/?after=2"] = R"({"a": 1}], "next": 3)";
  answers["/?after=3"] = item(3) + R"(], "next": 4)";
  answers["/?after=4"] = "]";
  EXPECT_TRUE(read().gaps.empty());
  answers["/?after=4"] = item(5) + R"(], "next": 5)";
  answers["/?after=5"] = "]";
  EXPECT_EQ(read().gaps.size(), 1u);
}

TEST_F(RestPoll, TellsAGapOnceAlthoughThePageThatIsNotFullIsReadAgain) {
  config.settings.erase("cursor");
  config.settings["page"] = json::object{{"param", "page"}, {"size", 3}};
  answers["/?page=1"] = item(1) + "," + item(3) + "]";
  answers["/?page=2"] = "]";
  EXPECT_EQ(read().gaps.size(), 1u);
  EXPECT_TRUE(read().gaps.empty());
  answers["/?page=1"] = item(1) + "," + item(3) + "," + item(5) + "]";
  const RecordBatch batch = read();
  ASSERT_EQ(batch.gaps.size(), 1u);
  EXPECT_EQ(time(batch.gaps[0].from) + time(batch.gaps[0].to), "03Z05Z");
  EXPECT_TRUE(read().gaps.empty());
}

TEST_F(RestPoll, PutsTheTimesOfReadingIntoAGapOfRecordsWithoutATime) {
  const platform::Time before = platform::SystemClock().now();
  answers["/"] = R"({"sequence": 1}], "next": 1)";
  answers["/?after=1"] = "]";
  read();
  const platform::Time between = platform::SystemClock().now();
  answers["/?after=1"] = R"({"sequence": 3}], "next": 3)";
  answers["/?after=3"] = "]";
  const RecordBatch batch = read();
  ASSERT_EQ(batch.gaps.size(), 1u);
  EXPECT_GE(batch.gaps[0].from, before);
  EXPECT_LE(batch.gaps[0].from, between);
  EXPECT_GE(batch.gaps[0].to, between);
}

TEST_F(RestPoll, NumbersRowsFromTheFirstRowOnOverPagesAndReadings) {
  config.settings["input"] = json::object{{"row_number", "row"}, {"first_row", 100}};
  answers["/"] = R"({"a": 1}, {"a": 2}], "next": 2)";
  answers["/?after=2"] = R"({"a": 3}], "next": 3)";
  answers["/?after=3"] = "]";
  EXPECT_EQ(read().records.at(2).fields.at("row"), json::value(102));
  answers["/?after=3"] = R"({"a": 4}], "next": 4)";
  answers["/?after=4"] = "]";
  EXPECT_EQ(read().records.at(0).fields.at("row"), json::value(103));
}

TEST_F(RestPoll, GivesEqualRowsOfTwoPagesDifferentKeysAndTheSamePageTheSameOnes) {
  for (const bool pages : {false, true}) {
    if (pages) {
      config.settings.erase("cursor");
      config.settings["page"] = json::object{{"param", "after"}, {"size", 2}};
    }
    answers["/"] = answers["/?after=1"] = R"({"a": 1}, {"a": 1}], "next": 2)";
    answers["/?after=2"] = R"({"a": 1}], "next": 2)";
    std::set<std::string> keys, again;
    cursor = nullptr;
    for (const auto& row : read().records) keys.insert(row.key);
    EXPECT_EQ(keys.size(), 3u);
    cursor = nullptr;
    for (int i = 0; i < 2; ++i) {
      for (const auto& row : read().records) again.insert(row.key);
    }
    EXPECT_EQ(again, keys);
  }
}

TEST(RestPollConnector, RefusesSettingsThatCannotWork) {
  for (const json::object& settings :
       {json::object{}, json::object{{"cursor", json::object{{"param", "a"}}}},
        json::object{{"page", json::object{{"param", "p"}}}},
        json::object{{"cursor", json::object{{"param", "a"}, {"next", "n"}}}, {"itmes", "x"}}}) {
    SourceConfig config;
    config.settings = settings;
    EXPECT_THROW(make_rest_poll_connector(config, [](const std::string&) { return json::value(); }), platform::Error)
        << json::serialize(settings);
  }
}

TEST(RestPollConnector, RefusesWhatWouldBeginALineOfTheRequestOfItsOwn) {
  for (const std::string& end : {std::string("\r\nX-Role: admin"), std::string("\n"), std::string(" HTTP/1.1"),
                                 std::string("\0", 1), std::string("\t"), std::string("\x7f")}) {
    const json::object good{{"param", "after"}, {"next", "n"}};
    for (const json::object& settings :
         {json::object{{"target", "/records" + end}, {"cursor", good}},
          json::object{{"cursor", json::object{{"param", "after" + end}, {"next", "n"}}}},
          json::object{{"page", json::object{{"param", "page" + end}, {"size", 3}}}}}) {
      SourceConfig config;
      config.settings = settings;
      try {
        make_rest_poll_connector(config, [](const std::string&) { return json::value(); });
        ADD_FAILURE() << json::serialize(settings);
      } catch (const platform::Error& error) {
        EXPECT_NE(std::string(error.what()).find("control character"), std::string::npos) << error.what();
      }
    }
  }
}

TEST(RestPollConnector, RefusesAUsersPasswordInTheUrlAndNamesTheSettingForIt) {
  SourceConfig config;
  config.settings = {{"url", "http://anna:s3cret@plant:8080"},
                     {"cursor", json::object{{"param", "after"}, {"next", "n"}}}};
  try {
    make_rest_poll_connector(config, SecretReader());
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("settings.auth"), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find("s3cret"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace connectors
