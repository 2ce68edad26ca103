// One contract for every connector, each against a local fake of its source.
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <functional>
#include <set>

#include "connectors/file_connector.h"
#include "connectors/registry.h"
#include "connectors/rest_poll_connector.h"
#include "connectors/rest_push_connector.h"
#include "platform/base/file.h"

namespace connectors {
namespace {

namespace json = platform::json;

// A source that the test can add records to and take away. Every third record has the same content.
struct Plant {
  virtual ~Plant() = default;
  virtual void add(int number) = 0;
  virtual void take_away() = 0;
  virtual std::unique_ptr<Connector> connector() = 0;
  // As the server would: what was read, or posted, in batches after the cursor.
  virtual void read(Connector& connector, const json::value& cursor, const BatchSink& sink) {
    connector.read(cursor, sink);
  }
  bool pushed = false;
};

int content(int number) { return number % 3 == 0 ? 0 : number; }

enum class Kind { kTable, kGzip, kLines, kFolder };

struct FilePlant : Plant {
  explicit FilePlant(Kind what) : kind(what) { append(kind == Kind::kLines ? "" : "n,name\n"); }
  Kind kind;
  platform::TemporaryFolder folder;
  int files = 0;
  std::filesystem::path file() const {
    const char* name = kind == Kind::kGzip ? "line.csv.gz" : kind == Kind::kLines ? "line.jsonl" : "line.csv";
    return folder.path() / (kind == Kind::kFolder ? "line" + std::to_string(files) + ".csv" : name);
  }
  void append(const std::string& text) {
    if (kind == Kind::kGzip) {
      gzFile out = gzopen(file().c_str(), "ab");
      gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
      gzclose(out);
    } else {
      std::ofstream(file(), std::ios::app) << text;
    }
  }
  void add(int number) override {
    const std::string n = std::to_string(content(number));
    if (kind == Kind::kFolder && number % 4 == 3) {  // sorts behind, with the same rows at the same places
      ++files;
      append("n,name\n");
    }
    append(kind == Kind::kLines ? R"({"n": )" + n + R"(, "name": "part"})" + "\n" : n + ",part\n");
  }
  void take_away() override {
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) std::filesystem::remove(entry);
  }
  std::unique_ptr<Connector> connector() override {
    SourceConfig config;
    config.connector = "file";
    config.name = "s";
    config.settings = {{"path", kind == Kind::kFolder ? folder.path().string() : file().string()}};
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
    for (std::size_t i = begin; i < end; ++i) items.push_back(json::object{{"n", content(numbers[i])}});
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

// Posts every record as a body of its own and keeps it until it is acknowledged, as the interface asks of a plant.
struct PushPlant : Plant {
  PushPlant() { pushed = true; }
  std::vector<std::string> bodies;
  bool away = false;
  void add(int number) override {
    const std::string n = std::to_string(content(number)), id = std::to_string(number);
    bodies.push_back(number % 2 == 0 ? R"([{"key": "k)" + id + R"(", "fields": {"n": )" + n + "}}]"
                                     : R"({"key": "k)" + id + R"(", "fields": {"n": )" + n + "}}\n");
  }
  void take_away() override { away = true; }
  std::unique_ptr<Connector> connector() override {
    SourceConfig config;
    config.name = "s";
    return make_rest_push_connector(config, {});
  }
  void read(Connector& connector, const json::value& cursor, const BatchSink& sink) override {
    bool read = false;
    connector.read(cursor, [&](RecordBatch&&) { return read = true; });
    EXPECT_FALSE(read) << "nothing is read from a source that pushes";
    if (away) throw platform::Error(platform::ErrorCode::kUnavailable, "the plant posts nothing");
    for (std::size_t at = cursor.is_int64() ? static_cast<std::size_t>(cursor.get_int64()) : 0; at < bodies.size();) {
      ParsedRecords parsed = parse_records(bodies[at], "", {}, {}, "s");
      RecordBatch batch;
      batch.records = std::move(parsed.records);
      batch.errors = std::move(parsed.errors);
      batch.cursor = static_cast<std::int64_t>(++at);
      if (!sink(std::move(batch))) return;
    }
  }
};

struct Case {
  std::string name;
  std::string kind;  // of the registry
  std::function<std::unique_ptr<Plant>()> make;
};
void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"file", "file", [] { return std::make_unique<FilePlant>(Kind::kTable); }},
      {"file_folder", "file", [] { return std::make_unique<FilePlant>(Kind::kFolder); }},
      {"file_gzip", "file", [] { return std::make_unique<FilePlant>(Kind::kGzip); }},
      {"file_jsonl", "file", [] { return std::make_unique<FilePlant>(Kind::kLines); }},
      {"rest_poll_cursor", "rest_poll", [] { return std::make_unique<ApiPlant>(false); }},
      {"rest_poll_page", "rest_poll", [] { return std::make_unique<ApiPlant>(true); }},
      {"rest_push", "rest_push", [] { return std::make_unique<PushPlant>(); }}};
  return kCases;
}

// What a store keeps: records by key, and the cursor of the last batch that it took.
class Store {
 public:
  bool take(const RecordBatch& batch) {
    EXPECT_TRUE(batch.errors.empty());
    EXPECT_TRUE(batch.gaps.empty());
    for (const auto& row : batch.records) records.emplace(row.key, row.fields.at("n").as_int64());
    cursor = batch.cursor;
    return true;
  }
  std::map<std::string, std::int64_t> records;
  json::value cursor;
};

class ConnectorContract : public ::testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Plant> plant = GetParam().make();
  Store store;
  int added = 0;

  void add(int count) {
    for (int i = 0; i < count; ++i) plant->add(added++);
  }
  // Reads at most `batches` batches into the store.
  void read(Connector& connector, int batches = 1000) {
    plant->read(connector, store.cursor, [&](RecordBatch&& batch) { return store.take(batch) && --batches > 0; });
  }
  void expect_all() const {
    std::multiset<int> expected, seen;
    for (int i = 0; i < added; ++i) expected.insert(content(i));
    for (const auto& [key, n] : store.records) seen.insert(static_cast<int>(n));
    EXPECT_EQ(seen, expected);
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
  add(5);
  const auto first = plant->connector()->discover(), second = plant->connector()->discover();
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].name, second[i].name);
    EXPECT_EQ(first[i].fields, second[i].fields);
    EXPECT_TRUE(plant->pushed || !first[i].fields.empty());
  }
}

TEST_P(ConnectorContract, ResumesAfterItsCursorWithoutLossOrDoublesWhereverItWasStopped) {
  for (int round = 0; round < 12; ++round) {
    add(round % 4);
    read(*plant->connector(), 1 + round % 2);
  }
  read(*plant->connector());
  expect_all();
}

TEST_P(ConnectorContract, LosesAndDoublesNothingWhenStoringFailsAndTheSameObjectReadsOn) {
  const auto connector = plant->connector();
  for (int failing = 1; failing <= 4; ++failing) {
    add(5);
    int batches = 0;
    try {
      plant->read(*connector, store.cursor, [&](RecordBatch&& batch) {
        if (++batches == failing) throw std::runtime_error("the database is away");
        return store.take(batch);
      });
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "the database is away");
    }
  }
  read(*connector);
  expect_all();
}

TEST_P(ConnectorContract, GivesARecordReadTwiceTheSameKeyAndGoesOnAtTheSamePlace) {
  add(7);
  read(*plant->connector());
  Store again;
  plant->read(*plant->connector(), {}, [&](RecordBatch&& batch) { return again.take(batch); });
  EXPECT_EQ(again.records, store.records);
  add(4);
  read(*plant->connector());
  plant->read(*plant->connector(), again.cursor, [&](RecordBatch&& batch) { return again.take(batch); });
  EXPECT_EQ(again.records, store.records);
  expect_all();
}

TEST_P(ConnectorContract, SaysUnavailableWhenTheSourceIsAway) {
  auto connector = plant->connector();
  plant->take_away();
  try {
    read(*connector);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kUnavailable);
  }
}

TEST(ConnectorContractCases, AreThereForEveryConnectorOfTheRegistry) {
  std::set<std::string> tested, known;
  for (const Case& each : cases()) tested.insert(each.kind);
  for (const ConnectorKind& kind : connector_kinds()) known.emplace(kind.name);
  EXPECT_EQ(tested, known);
}

INSTANTIATE_TEST_SUITE_P(All, ConnectorContract, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace connectors
