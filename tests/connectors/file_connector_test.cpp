#include "connectors/file_connector.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <set>

#include "platform/base/file.h"

namespace connectors {
namespace {

namespace json = platform::json;

class FileConnector : public ::testing::Test {
 protected:
  platform::TemporaryFolder folder;
  std::filesystem::path file = folder.path() / "log.csv";
  json::value cursor;
  json::object input;
  double settle_seconds = 1000;

  void write(std::string_view text, bool append = true) {
    std::ofstream(file, append ? std::ios::app : std::ios::trunc) << text;
  }

  static void put(const std::filesystem::path& path, const std::string& bytes) { std::ofstream(path) << bytes; }

  std::unique_ptr<Connector> make() const {
    SourceConfig config;
    config.name = "s";
    config.settings = {{"path", file.string()}, {"input", input}, {"settle_seconds", settle_seconds}};
    return make_file_connector(config, {});
  }

  static std::string gzipped(const std::string& text) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string bytes(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<unsigned>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
    stream.avail_out = static_cast<unsigned>(bytes.size());
    deflate(&stream, Z_FINISH);
    bytes.resize(stream.total_out);
    deflateEnd(&stream);
    return bytes;
  }

  // The field n of everything that was stored, and the cursor after it.
  std::multiset<std::int64_t> numbers;
  bool take(const RecordBatch& batch) {
    for (const auto& row : batch.records) numbers.insert(row.fields.at("n").as_int64());
    cursor = batch.cursor;
    return true;
  }
  // What read() throws in the end; empty if nothing.
  std::string trouble_of(Connector& connector) {
    try {
      connector.read(cursor, [&](RecordBatch&& batch) { return take(batch); });
    } catch (const platform::Error& error) {
      return error.what();
    }
    return {};
  }

  RecordBatch read() {
    RecordBatch all;
    make()->read(cursor, [&](RecordBatch&& batch) {
      for (auto& row : batch.records) all.records.push_back(std::move(row));
      for (auto& error : batch.errors) all.errors.push_back(std::move(error));
      for (auto& gap : batch.gaps) all.gaps.push_back(std::move(gap));
      cursor = batch.cursor;
      return true;
    });
    return all;
  }
};

TEST_F(FileConnector, FollowsAFileThatGrowsAndWaitsForTheEndOfARow) {
  write("time;x\n2026-01-01T00:00:00Z;1,5\n2026-01-01T00:00:01Z;2,");
  RecordBatch batch = read();
  ASSERT_EQ(batch.records.size(), 1u);
  EXPECT_EQ(batch.records[0].fields.at("x"), json::value(1.5));
  write("5\n");
  batch = read();
  ASSERT_EQ(batch.records.size(), 1u);
  EXPECT_EQ(batch.records[0].fields.at("x"), json::value(2.5));
  EXPECT_TRUE(read().records.empty());
}

TEST_F(FileConnector, TakesTheLastRowWithoutANewlineOnceTheFileIsStill) {
  settle_seconds = 0;
  write("a,b\n1,2\n3,4");
  EXPECT_EQ(read().records.size(), 2u);
}

TEST_F(FileConnector, RecordsAGapFromTheLastRecordOnWhenTheFileIsReplacedBeforeItWasReadToItsEnd) {
  write("time,b\n2026-01-01T00:00:00Z,2\n2026-01-01T00:00:07Z,4\n2026-01-01T00:0");
  const RecordBatch before = read();
  const platform::Time earlier = platform::SystemClock().now();
  write("time,b\n2026-01-02T00:00:00Z,9\n", false);
  const RecordBatch after = read();
  ASSERT_EQ(after.gaps.size(), 1u);
  EXPECT_EQ(platform::format_time(after.gaps[0].from), "2026-01-01T00:00:07Z");
  EXPECT_GE(after.gaps[0].to, earlier);
  EXPECT_LE(after.gaps[0].to, platform::SystemClock().now());
  ASSERT_EQ(after.records.size(), 1u);
  EXPECT_EQ(after.records[0].fields.at("b"), json::value(9));
  EXPECT_NE(after.records[0].key, before.records[0].key);
  EXPECT_TRUE(read().gaps.empty());
}

TEST_F(FileConnector, RecordsNoGapWhenTheFileThatIsReplacedHadBeenReadToItsEnd) {
  write("a,b\n1,2\n3,4\n");
  const RecordBatch before = read();
  write("a,b\n1,2\n", false);
  const RecordBatch after = read();
  EXPECT_TRUE(after.gaps.empty());
  ASSERT_EQ(after.records.size(), 1u);
  EXPECT_NE(after.records[0].key, before.records[0].key);
}

TEST_F(FileConnector, KnowsThatAHalfRowCameAfterItWasReadToItsEndAndWhenItHadReadIt) {
  const platform::Time earlier = platform::SystemClock().now();
  write("a,b\n1,2\n");
  read();
  const platform::Time later = platform::SystemClock().now();
  write("3,");
  EXPECT_TRUE(read().records.empty());
  write("a,b\n", false);
  const RecordBatch after = read();
  ASSERT_EQ(after.gaps.size(), 1u);
  EXPECT_GE(after.gaps[0].from, earlier);
  EXPECT_LE(after.gaps[0].from, later);
}

TEST_F(FileConnector, NamesTheLineOfABadRowAlsoAfterAResume) {
  write("a,b\n1,2\n");
  read();
  write("3\n5,6\n");
  const RecordBatch batch = read();
  EXPECT_EQ(batch.records.size(), 1u);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].line, 3);
}

TEST_F(FileConnector, ReadsGzipWithQuotedNewlines) {
  settle_seconds = 0;
  file = folder.path() / "log.csv.gz";
  put(file, gzipped("a,b\n\"x\ny\",2\nz,3"));
  const RecordBatch batch = read();
  ASSERT_EQ(batch.records.size(), 2u);
  EXPECT_EQ(batch.records[0].fields.at("a"), json::value("x\ny"));
  EXPECT_TRUE(read().records.empty());
}

TEST_F(FileConnector, TakesTheWholeRowsOfAGzipFileThatIsStillBeingCopiedAndTheRestWhenItIsComplete) {
  file = folder.path() / "log.csv.gz";
  std::string text = "n,x\n";
  for (int i = 0; i < 5000; ++i) text += std::to_string(i) + "," + std::to_string(i * 7919 % 1000) + ".25\n";
  const std::string bytes = gzipped(text);
  std::vector<std::int64_t> numbers;
  for (const std::size_t size : {std::size_t{5}, bytes.size() / 3, bytes.size() / 2, bytes.size() - 3, bytes.size()}) {
    put(file, bytes.substr(0, size));
    for (const auto& row : read().records) {
      numbers.push_back(row.fields.at("n").as_int64());
      EXPECT_EQ(row.fields.at("x"), json::value(static_cast<double>(numbers.back() * 7919 % 1000) + 0.25));
    }
  }
  ASSERT_EQ(numbers.size(), 5000u);
  for (std::size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(numbers[i], static_cast<std::int64_t>(i));
}

TEST_F(FileConnector, NamesAGzipFileThatStaysCutOffAndGoesOnWithTheOtherFiles) {
  const std::string bytes = gzipped("n,x\n1,45.5\n2,45.7\n");
  put(folder.path() / "a.csv.gz", bytes.substr(0, bytes.size() - 12));
  put(folder.path() / "b.csv", "n,x\n3,1.5\n");
  file = folder.path();
  settle_seconds = 0;
  const auto connector = make();
  for (int round = 0; round < 3; ++round) {
    EXPECT_NE(trouble_of(*connector).find("a.csv.gz; copy it again"), std::string::npos);
    EXPECT_TRUE(numbers.contains(3));
    EXPECT_FALSE(numbers.contains(2));
  }
  put(folder.path() / "a.csv.gz", bytes);
  EXPECT_EQ(trouble_of(*connector), "");
  EXPECT_EQ(numbers, (std::multiset<std::int64_t>{1, 2, 3}));
}

TEST_F(FileConnector, DoesNotOpenAFileThatDidNotChangeSinceItWasReadTheLastTime) {
  settle_seconds = 0;
  write("n,x\n1,a\n");
  const auto connector = make();
  EXPECT_EQ(trouble_of(*connector), "");
  const auto changed = std::filesystem::last_write_time(file);
  write("n,y\n2,b\n", false);
  std::filesystem::last_write_time(file, changed);
  EXPECT_EQ(trouble_of(*connector), "");
  EXPECT_EQ(numbers.size(), 1u);
  std::filesystem::last_write_time(file, changed + std::chrono::seconds(1));
  EXPECT_EQ(trouble_of(*connector), "");
  EXPECT_EQ(numbers.size(), 2u);
}

TEST_F(FileConnector, GivesEqualRowsOfTwoFilesOfAFolderDifferentKeys) {
  put(folder.path() / "a.csv", "n,x\n1,2\n");
  put(folder.path() / "b.csv", "n,x\n1,2\n");
  file = folder.path();
  const RecordBatch batch = read();
  ASSERT_EQ(batch.records.size(), 2u);
  EXPECT_NE(batch.records[0].key, batch.records[1].key);
}

TEST_F(FileConnector, KeepsTheKeysOfRowsWhereverAReadingEndsAmongRowsWithErrors) {
  write("a,b\n1\n5,6\n7,8\n");
  const RecordBatch whole = read();
  cursor = nullptr;
  write("a,b\n1\n5,6\n", false);
  std::vector<std::string> keys{read().records.at(0).key};
  write("7,8\n");
  keys.push_back(read().records.at(0).key);
  EXPECT_EQ(keys, (std::vector<std::string>{whole.records.at(0).key, whole.records.at(1).key}));
}

TEST_F(FileConnector, KeepsTheKeyThatAJsonLineBrings) {
  write("{\"key\": \"machine-7-2026-01-01T00:00:00\", \"fields\": {\"a\": 1}}\n");
  EXPECT_EQ(read().records.at(0).key, "machine-7-2026-01-01T00:00:00");
}

TEST_F(FileConnector, LosesNothingOfAnyFileOfAFolderWhenStoringABatchFails) {
  put(folder.path() / "a.csv", "n,x\n1,a\n");
  put(folder.path() / "b.csv", "n,x\n2,a\n3,a\n");
  put(folder.path() / "c.csv", "n,x\n4,a\n");
  file = folder.path();
  const auto connector = make();
  for (int failing = 1; failing <= 3; ++failing) {
    cursor = nullptr;
    numbers.clear();
    int batches = 0;
    EXPECT_THROW(connector->read(cursor,
                                 [&](RecordBatch&& batch) {
                                   if (++batches == failing) throw std::runtime_error("the database is away");
                                   return take(batch);
                                 }),
                 std::runtime_error);
    EXPECT_EQ(trouble_of(*connector), "");
    EXPECT_EQ(numbers, (std::multiset<std::int64_t>{1, 2, 3, 4})) << failing;
  }
}

TEST_F(FileConnector, CostsOneRowWhereAQuoteIsNeverClosed) {
  settle_seconds = 0;
  std::string text = "n,x\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + (i == 417 ? ",\"part\n" : ",part\n");
  write(text);
  const RecordBatch batch = read();
  EXPECT_EQ(batch.records.size(), 999u);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].line, 419);
}

TEST_F(FileConnector, DoesNotStallBehindAQuoteThatIsNeverClosedInALargeFile) {
  {
    std::ofstream out(file);
    out << "n,x\n0,\"part\n";
    const std::string filler(100, 'p');
    for (int i = 1; i < 700'000; ++i) out << i << "," << filler << "\n";
  }
  ASSERT_GT(std::filesystem::file_size(file), std::uintmax_t{70} << 20);
  std::int64_t records = 0;
  std::vector<RecordError> errors;
  make()->read(cursor, [&](RecordBatch&& batch) {
    records += static_cast<std::int64_t>(batch.records.size());
    std::move(batch.errors.begin(), batch.errors.end(), std::back_inserter(errors));
    return true;
  });
  EXPECT_EQ(records, 699'999);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].line, 2);
}

TEST_F(FileConnector, PassesOverARowThatIsTooLongAndSaysSo) {
  write("{\"a\": 1}\n{\"a\": \"" + std::string(std::size_t{70} << 20, 'x') + "\"}\n{\"a\": 3}\n");
  const RecordBatch batch = read();
  ASSERT_EQ(batch.records.size(), 2u);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].line, 2);
  EXPECT_NE(batch.errors[0].message.find("64 MiB"), std::string::npos);
}

TEST_F(FileConnector, LearnsTheDecimalCommaFromRowsThatComeAfterTheHeader) {
  settle_seconds = 0;
  write("name;x\n");
  EXPECT_TRUE(read().records.empty());
  write("A;12\n");
  EXPECT_EQ(read().records.at(0).fields.at("x"), json::value(12));
  write("B;1,5\n");
  EXPECT_EQ(read().records.at(0).fields.at("x"), json::value(1.5));
}

TEST_F(FileConnector, ReadsAHeaderByTheRulesOfAPushedBody) {
  struct {
    json::object input;
    std::string text;
    std::size_t records;
    std::string first_name;
  } const cases[] = {
      {{{"header", true}, {"columns", json::array{"p", "q"}}}, "a,b\n1,2\n", 1, "p"},
      {{{"header", false}, {"columns", json::array{"a", "b"}}}, "a,b\n1,2\n", 2, "a"},
      {{{"columns", json::array{"a", "b"}}}, " a , b\n1,2\n", 1, "a"},
      {{}, " a , b \n1,2\n", 1, "a"},
      {{}, ",b\n0,2\n1,3\n", 2, "column_1"},
      {{},
       "\xEF\xBB\xBF"
       "a,b\n1,2\n",
       1,
       "a"},
      {{}, "\xEF\xBB\xBF{\"a\": 1, \"b\": 2}\n", 1, "a"},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.text);
    cursor = nullptr;
    input = each.input;
    write(each.text, false);
    const RecordBatch batch = read();
    const ParsedRecords pushed = parse_records(each.text, "", InputFormat::from_json(input), {}, "s");
    ASSERT_EQ(batch.records.size(), each.records);
    ASSERT_EQ(pushed.records.size(), each.records);
    EXPECT_TRUE(batch.errors.empty());
    EXPECT_EQ(batch.records[0].fields.begin()->key(), each.first_name);
    for (std::size_t i = 0; i < each.records; ++i) EXPECT_EQ(batch.records[i].fields, pushed.records[i].fields);
  }
}

TEST_F(FileConnector, RefusesAJsonArrayWithTheWayOut) {
  write("[\n{\"a\": 1}]\n");
  EXPECT_NE(trouble_of(*make()).find("log.csv is a JSON array"), std::string::npos);
}

TEST_F(FileConnector, TakesAFileWhoseNameIsInAnotherEncoding) {
  file = folder.path() / "\xB6\xF3\xC0\xCE.csv";
  write("a,b\n1,2\n");
  EXPECT_EQ(read().records.size(), 1u);
  EXPECT_EQ(cursor.as_object().begin()->key(), "%B6%F3%C0%CE.csv");
  EXPECT_TRUE(read().records.empty());
}

TEST_F(FileConnector, ReadsBlankSeparatedColumnsWithoutAHeaderAndJsonLines) {
  input = {{"columns", json::array{"unit", "cycle"}}, {"header", false}, {"delimiter", "space"}};
  write("1 1  \n1 2  \n");
  EXPECT_EQ(read().records.size(), 2u);
  cursor = nullptr;
  input = {};
  write("{\"a\": 1}\n{\"a\": 2}\n", false);
  const RecordBatch batch = read();
  ASSERT_EQ(batch.records.size(), 2u);
  EXPECT_EQ(batch.records[1].fields.at("a"), json::value(2));
}

TEST_F(FileConnector, ReadsAFolderInTheOrderOfNames) {
  std::ofstream(folder.path() / "b.csv") << "n,x\n3,a\n";
  std::ofstream(folder.path() / "a.csv") << "n,x\n1,a\n2,a\n";
  file = folder.path();
  const RecordBatch batch = read();
  ASSERT_EQ(batch.records.size(), 3u);
  EXPECT_EQ(batch.records[2].fields.at("n"), json::value(3));
}

TEST_F(FileConnector, SaysOnceThatAFileIsEmptyOrHoldsAHeaderAlone) {
  settle_seconds = 0;
  for (const auto& [text, told] :
       {std::pair<std::string, std::string>{"", "empty"}, {"hello\n", "a header and no row"}}) {
    write(text, false);
    const RecordBatch batch = read();
    ASSERT_EQ(batch.errors.size(), 1u) << text;
    EXPECT_NE(batch.errors[0].message.find("log.csv"), std::string::npos);
    EXPECT_NE(batch.errors[0].message.find(told), std::string::npos) << batch.errors[0].message;
  }
  write("world\n");
  EXPECT_EQ(read().records.size(), 1u);
}

}  // namespace
}  // namespace connectors
