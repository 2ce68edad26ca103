// What a file source reads when somebody puts links into its folder while it runs.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "connectors/file_connector.h"
#include "platform/base/file.h"

namespace connectors {
namespace {

namespace fs = std::filesystem;
namespace json = platform::json;

class FileRuleOfASource : public ::testing::Test {
 protected:
  FileRuleOfASource() {
    fs::create_directories(inbox);
    fs::create_directories(secret.parent_path());
    put(secret, "n,x\n666,anneal_admin\n");
    put(inbox / "a.csv", "n,x\n1,a\n");
    put(inbox / "c.csv", "n,x\n3,c\n");
    config.name = "s";
    config.settings = {{"path", inbox.string()}, {"settle_seconds", 0}};
    config.file_allowed = [this](const fs::path& real) {
      if (meanwhile) meanwhile(real);
      return real.native().starts_with((root() / "inbox").native());
    };
  }
  fs::path root() const { return fs::canonical(folder.path()); }
  static void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

  // Reads with the connector that runs; what read() throws in the end.
  std::string read() {
    if (!connector) connector = make_file_connector(config, {});
    try {
      connector->read(cursor, [&](RecordBatch&& batch) {
        for (const auto& row : batch.records) numbers.insert(row.fields.at("n").as_int64());
        cursor = batch.cursor;
        return true;
      });
    } catch (const platform::Error& error) {
      return error.what();
    }
    return {};
  }

  platform::TemporaryFolder folder;
  fs::path inbox = folder.path() / "inbox" / "d", secret = folder.path() / "keys" / "b.csv";
  SourceConfig config;
  std::function<void(const fs::path& real)> meanwhile;  // happens while the rule is asked
  std::unique_ptr<Connector> connector;
  json::value cursor;
  std::multiset<std::int64_t> numbers;
};

TEST_F(FileRuleOfASource, RefusesALinkThatComesWhileItRunsByNameAndReadsTheOtherFiles) {
  EXPECT_EQ(read(), "");
  fs::create_symlink(secret, inbox / "b.csv");
  put(inbox / "d.csv", "n,x\n4,d\n");
  for (int round = 0; round < 2; ++round) EXPECT_NE(read().find("b.csv: a link leads out"), std::string::npos);
  EXPECT_EQ(numbers, (std::multiset<std::int64_t>{1, 3, 4}));
  fs::remove(inbox / "b.csv");
  put(inbox / "b.csv", "n,x\n2,b\n");
  EXPECT_EQ(read(), "");
  EXPECT_TRUE(numbers.contains(2));
}

TEST_F(FileRuleOfASource, RefusesAFileThatIsExchangedForALinkAfterItWasRead) {
  EXPECT_EQ(read(), "");
  fs::remove(inbox / "c.csv");
  fs::create_symlink(secret, inbox / "c.csv");
  EXPECT_NE(read().find("c.csv: a link leads out"), std::string::npos);
  EXPECT_FALSE(numbers.contains(666));
}

TEST_F(FileRuleOfASource, NamesTheOffendingFileWhenItIsCheckedAndTellsNoFieldsOfIt) {
  fs::create_symlink(secret, inbox / "b.csv");
  const CheckResult result = make_file_connector(config, {})->check();
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.message.find("b.csv"), std::string::npos) << result.message;
  for (const Stream& stream : make_file_connector(config, {})->discover())
    EXPECT_EQ(stream.fields.empty(), stream.name == "b.csv") << stream.name;
}

TEST_F(FileRuleOfASource, FollowsALinkThatStaysInside) {
  put(folder.path() / "inbox" / "e.csv", "n,x\n5,e\n");
  fs::create_symlink(folder.path() / "inbox" / "e.csv", inbox / "e.csv");
  EXPECT_EQ(read(), "");
  EXPECT_EQ(numbers, (std::multiset<std::int64_t>{1, 3, 5}));
}

TEST_F(FileRuleOfASource, ReadsNothingThroughAFolderThatBecameALink) {
  fs::rename(inbox, folder.path() / "inbox" / "old");
  fs::create_directory_symlink(secret.parent_path(), inbox);
  const std::string told = read();
  EXPECT_NE(told.find("a link leads out"), std::string::npos) << told;
  EXPECT_EQ(told.find("b.csv"), std::string::npos) << told;
  EXPECT_TRUE(numbers.empty());
}

TEST_F(FileRuleOfASource, ReadsNothingOfAFolderOrFileThatIsExchangedBetweenTheQuestionAndTheOpening) {
  put(inbox / "b.csv", "n,x\n2,b\n");
  for (const bool whole_folder : {true, false}) {
    connector.reset();
    cursor = nullptr;
    meanwhile = [&](const fs::path& real) {
      if (real.filename() != "b.csv") return;
      meanwhile = {};
      fs::rename(whole_folder ? inbox : inbox / "b.csv", folder.path() / "aside");
      if (whole_folder)
        fs::create_directory_symlink(secret.parent_path(), inbox);
      else
        fs::create_symlink(secret, inbox / "b.csv");
    };
    EXPECT_NE(read().find("b.csv"), std::string::npos);
    EXPECT_FALSE(meanwhile) << "nothing was exchanged";
    EXPECT_FALSE(numbers.contains(666));
    fs::remove(whole_folder ? inbox : inbox / "b.csv");
    fs::rename(folder.path() / "aside", whole_folder ? inbox : inbox / "b.csv");
  }
}

}  // namespace
}  // namespace connectors
