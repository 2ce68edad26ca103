#include "connectors/rest_poll_connector.h"

#include <gtest/gtest.h>

namespace connectors {
namespace {

namespace json = platform::json;

TEST(RestPollConnector, RecordsAGapWhereTheSequenceJumpsAlsoBetweenTwoReadings) {
  SourceConfig config;
  config.name = "s";
  config.settings = {{"items", "items"},
                     {"cursor", json::object{{"param", "after"}, {"field", "sequence"}}},
                     {"sequence", "sequence"}};
  std::vector<json::value> answers = {json::parse(R"({"items": [{"sequence": 1}, {"sequence": 2}, {"sequence": 5}]})"),
                                      json::parse(R"({"items": [{"sequence": 9}]})"), json::parse(R"({"items": []})")};
  std::vector<std::string> targets;
  const auto connector = make_rest_poll_connector(config, [&](const std::string& target) {
    targets.push_back(target);
    return answers.at(targets.size() - 1);
  });
  std::vector<std::string> reasons;
  connector->read({}, [&](RecordBatch&& batch) {
    for (const Gap& gap : batch.gaps) reasons.push_back(gap.reason);
    return true;
  });
  EXPECT_EQ(targets, (std::vector<std::string>{"/", "/?after=5", "/?after=9"}));
  ASSERT_EQ(reasons.size(), 2u);
  EXPECT_NE(reasons[0].find("3 to 4"), std::string::npos);
  EXPECT_NE(reasons[1].find("6 to 8"), std::string::npos);
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

}  // namespace
}  // namespace connectors
