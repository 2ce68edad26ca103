// One contract for every connector, each against a local fake of its source.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <set>

#include "connectors/file_connector.h"
#include "connectors/rest_poll_connector.h"
#include "connectors/rest_push_connector.h"
#include "platform/base/file.h"

namespace connectors {
namespace {

namespace json = platform::json;

// A source that the test can add records to and take away.
struct Plant {
  virtual ~Plant() = default;
  virtual void add(int number) = 0;
  virtual void take_away() = 0;
  virtual std::unique_ptr<Connector> connector() = 0;
  bool pushed = false;
};

struct FilePlant : Plant {
  platform::TemporaryFolder folder;
  std::filesystem::path file = folder.path() / "line.csv";
  FilePlant() { std::ofstream(file) << "n,name\n"; }
  void add(int number) override { std::ofstream(file, std::ios::app) << number << ",part\n"; }
  void take_away() override { std::filesystem::remove(file); }
  std::unique_ptr<Connector> connector() override {
    SourceConfig config;
    config.name = "s";
    config.settings = {{"path", file.string()}};
    return make_file_connector(config, {});
  }
};

struct ApiPlant : Plant {
  explicit ApiPlant(bool pages) : pages(pages) {}
  bool pages;
  bool away = false;
  std::vector<int> numbers;
  void add(int number) override { numbers.push_back(number); }
  void take_away() override { away = true; }
  json::value get(const std::string& target) {
    if (away) throw platform::Error(platform::ErrorCode::kUnavailable, "no answer from the plant");
    const std::size_t equals = target.find('=');
    const auto asked = equals == std::string::npos ? std::size_t{pages ? 1u : 0u}
                                                   : static_cast<std::size_t>(std::stoul(target.substr(equals + 1)));
    const std::size_t begin = std::min(pages ? (asked - 1) * 3 : asked, numbers.size());
    const std::size_t end = std::min(begin + 3, numbers.size());
    json::array items;
    for (std::size_t i = begin; i < end; ++i) items.push_back(json::object{{"n", numbers[i]}});
    return json::object{{"data", json::object{{"items", items}}}, {"next", static_cast<std::int64_t>(end)}};
  }
  std::unique_ptr<Connector> connector() override {
    SourceConfig config;
    config.name = "s";
    config.settings = {{"items", "data.items"}};
    if (pages)
      config.settings["page"] = json::object{{"param", "page"}, {"size", 3}};
    else
      config.settings["cursor"] = json::object{{"param", "after"}, {"next", "next"}};
    return make_rest_poll_connector(config, [this](const std::string& target) { return get(target); });
  }
};

struct PushPlant : Plant {
  PushPlant() { pushed = true; }
  void add(int) override {}
  void take_away() override {}
  std::unique_ptr<Connector> connector() override {
    SourceConfig config;
    config.name = "s";
    return make_rest_push_connector(config, {});
  }
};

struct Case {
  std::string name;
  std::function<std::unique_ptr<Plant>()> make;
};
void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }

class ConnectorContract : public ::testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Plant> plant = GetParam().make();

  // Reads at most `batches` batches after the cursor and moves it; gives key -> n.
  std::multimap<std::string, std::int64_t> read(json::value& cursor, int batches = 1000) {
    std::multimap<std::string, std::int64_t> out;
    plant->connector()->read(cursor, [&](RecordBatch&& batch) {
      EXPECT_TRUE(batch.errors.empty());
      for (const auto& row : batch.records) out.emplace(row.key, row.fields.at("n").as_int64());
      cursor = batch.cursor;
      return --batches > 0;
    });
    return out;
  }
};

TEST_P(ConnectorContract, ChecksPolitelyWhetherTheSourceIsThereOrNot) {
  EXPECT_TRUE(plant->connector()->check().ok);
  auto connector = plant->connector();
  plant->take_away();
  const CheckResult result = connector->check();
  EXPECT_EQ(result.ok, plant->pushed);
  EXPECT_FALSE(result.message.empty());
}

TEST_P(ConnectorContract, DiscoversTheSameTwice) {
  for (int i = 0; i < 5; ++i) plant->add(i);
  const auto first = plant->connector()->discover(), second = plant->connector()->discover();
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].name, second[i].name);
    EXPECT_EQ(first[i].fields, second[i].fields);
    EXPECT_TRUE(plant->pushed || !first[i].fields.empty());
  }
}

TEST_P(ConnectorContract, ResumesAfterItsCursorWithoutLossWhereverItWasStopped) {
  if (plant->pushed) GTEST_SKIP() << "nothing is read from a source that pushes";
  json::value cursor;
  std::set<std::int64_t> seen;
  int added = 0;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < round % 4; ++i) plant->add(added++);
    for (const auto& [key, n] : read(cursor, 1 + round % 2)) seen.insert(n);
  }
  for (const auto& [key, n] : read(cursor)) seen.insert(n);
  EXPECT_EQ(static_cast<int>(seen.size()), added);
}

TEST_P(ConnectorContract, GivesARecordReadTwiceTheSameKey) {
  if (plant->pushed) GTEST_SKIP() << "nothing is read from a source that pushes";
  for (int i = 0; i < 7; ++i) plant->add(i);
  json::value first, second;
  EXPECT_EQ(read(first), read(second));
  EXPECT_EQ(first, second);
}

TEST_P(ConnectorContract, SaysUnavailableWhenTheSourceIsAway) {
  if (plant->pushed) GTEST_SKIP() << "nothing is read from a source that pushes";
  auto connector = plant->connector();
  plant->take_away();
  try {
    connector->read({}, [](RecordBatch&&) { return true; });
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kUnavailable);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ConnectorContract,
                         ::testing::Values(Case{"file", [] { return std::make_unique<FilePlant>(); }},
                                           Case{"rest_poll_cursor", [] { return std::make_unique<ApiPlant>(false); }},
                                           Case{"rest_poll_page", [] { return std::make_unique<ApiPlant>(true); }},
                                           Case{"rest_push", [] { return std::make_unique<PushPlant>(); }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace connectors
