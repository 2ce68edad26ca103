#include "connectors/file_connector.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>

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

  RecordBatch read() {
    SourceConfig config;
    config.name = "s";
    config.settings = {{"path", file.string()}, {"input", input}, {"settle_seconds", settle_seconds}};
    RecordBatch all;
    make_file_connector(config, {})->read(cursor, [&](RecordBatch&& batch) {
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

TEST_F(FileConnector, RecordsAGapAndStartsOverWhenTheFileIsReplaced) {
  write("a,b\n1,2\n3,4\n");
  const RecordBatch before = read();
  write("a,b\n9,9\n", false);
  const RecordBatch after = read();
  ASSERT_EQ(after.gaps.size(), 1u);
  ASSERT_EQ(after.records.size(), 1u);
  EXPECT_EQ(after.records[0].fields.at("a"), json::value(9));
  EXPECT_NE(after.records[0].key, before.records[0].key);
  EXPECT_TRUE(read().gaps.empty());
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
  file = folder.path() / "log.csv.gz";
  gzFile out = gzopen(file.c_str(), "wb");
  const std::string text = "a,b\n\"x\ny\",2\nz,3";
  gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
  gzclose(out);
  const RecordBatch batch = read();
  ASSERT_EQ(batch.records.size(), 2u);
  EXPECT_EQ(batch.records[0].fields.at("a"), json::value("x\ny"));
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

}  // namespace
}  // namespace connectors
