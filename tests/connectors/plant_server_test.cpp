#include "connectors/simulators/plant_server.h"

#include <gtest/gtest.h>

#include <set>

#include "connectors/registry.h"

namespace connectors {
namespace {

TEST(PlantServer, IsReadToItsEndOverHttpByAPolledSource) {
  PlantServer plant({.machine = {}, .history = 1234, .records_per_second = 0, .port = 0});
  SourceConfig config;
  config.name = "mill";
  config.connector = "rest_poll";
  config.settings = plant.source_settings();
  const auto connector = make_connector(config);
  EXPECT_TRUE(connector->check().ok) << connector->check().message;
  EXPECT_EQ(connector->discover().at(0).fields.size(), 10u);
  std::set<std::string> keys;
  connector->read({}, [&](RecordBatch&& batch) {
    EXPECT_TRUE(batch.gaps.empty());
    for (const auto& row : batch.records) keys.insert(row.key);
    return true;
  });
  EXPECT_EQ(keys.size(), 1234u);
}

TEST(RestPollOverHttp, ReportsASourceThatIsNotThere) {
  SourceConfig config;
  config.name = "mill";
  config.connector = "rest_poll";
  config.settings = PlantServer({.machine = {}, .history = 1, .records_per_second = 0, .port = 0}).source_settings();
  const CheckResult result = make_connector(config)->check();
  EXPECT_FALSE(result.ok);
  EXPECT_FALSE(result.message.empty());
}

TEST(ConnectorRegistry, IsInAlphabeticalOrderAndNamesTheNearestConnector) {
  for (std::size_t i = 1; i < connector_kinds().size(); ++i)
    EXPECT_LT(connector_kinds()[i - 1].name, connector_kinds()[i].name);
  try {
    connector_kind("rest_pol");
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("rest_poll"), std::string::npos);
  }
}

}  // namespace
}  // namespace connectors
