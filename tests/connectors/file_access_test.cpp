#include "connectors/file_access.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace {

namespace fs = std::filesystem;
namespace json = platform::json;

class FileAccess : public testing::Test {
 protected:
  FileAccess() {
    for (const char* name : {"data/inbox/deep", "data/keys", "plant", "plant-2"})
      fs::create_directories(folder_.path() / name);
    for (const char* name : {"data/admin-token", "data/keys/root.key", "data/inbox/deep/a.csv", "plant/b.csv"})
      platform::write_file_atomically(folder_.path() / name, "x");
  }
  fs::path at(const std::string& name) const { return folder_.path() / name; }
  platform::DataFolder data() const { return {at("data")}; }

  platform::TemporaryFolder folder_;
};

TEST_F(FileAccess, OpensTheInboxUnlessTheAdministratorNamesOtherFolders) {
  const connectors::FileAccess usual({}, data());
  for (const char* open : {"data/inbox", "data/inbox/deep/a.csv", "data/inbox/not-yet.csv", "data/profiles/p.yaml"})
    EXPECT_TRUE(usual.allows(at(open))) << open;
  for (const char* closed : {"data/admin-token", "data/keys/root.key", "data", "plant/b.csv",
                             "data/inbox/../admin-token", "data/inbox-2/a.csv", "."})
    EXPECT_FALSE(usual.allows(at(closed))) << closed;
  const connectors::FileAccess named({at("plant")}, data());
  EXPECT_TRUE(named.allows(at("plant/b.csv")));
  EXPECT_FALSE(named.allows(at("plant-2/b.csv")));
  EXPECT_FALSE(named.allows(at("data/inbox/deep/a.csv")));
}

TEST_F(FileAccess, AFolderAboveTheDataFolderOpensNothingInIt) {
  const connectors::FileAccess everything({"/"}, data());
  EXPECT_TRUE(everything.allows(at("plant/b.csv")));
  for (const char* closed : {"data/admin-token", "data/keys", "data/inbox/deep/a.csv"})
    EXPECT_FALSE(everything.allows(at(closed))) << closed;
}

TEST_F(FileAccess, LooksWhereLinksLead) {
  const connectors::FileAccess access({at("plant")}, data());
  fs::create_symlink(at("data/admin-token"), at("plant/innocent.csv"));
  fs::create_directory_symlink(at("data"), at("plant/folder"));
  fs::create_directory_symlink(at("plant"), at("same"));
  EXPECT_FALSE(access.allows(at("plant/innocent.csv")));
  EXPECT_FALSE(access.allows(at("plant/folder/keys/root.key")));
  EXPECT_FALSE(access.allows(at("plant"))) << "a folder's source would read the link in it";
  EXPECT_TRUE(access.allows(at("same/b.csv")));
}

TEST_F(FileAccess, ItsRuleOutlivesItAndFollowsNoLink) {
  const connectors::FileRule rule = connectors::FileAccess({at("plant")}, data()).rule();
  EXPECT_TRUE(rule(fs::canonical(at("plant")) / "b.csv"));
  EXPECT_FALSE(rule(fs::canonical(at("data")) / "admin-token"));
}

TEST_F(FileAccess, TheServersOwnFoldersCannotBeGivenAway) {
  for (const char* own : {"data", "data/keys", "data/postgres/cluster", "data/admin-token", "data/logs"})
    EXPECT_THROW(connectors::FileAccess({at(own)}, data()), platform::Error) << own;
}

TEST_F(FileAccess, ChecksTheFileAndTheProfileOfASource) {
  const connectors::FileAccess access({}, data());
  platform::Source source;
  source.connector = "file";
  source.settings = {{"path", at("data/inbox/deep/a.csv").string()}};
  access.check(source);
  source.profile = "machine-failure";
  access.check(source);
  source.profile = at("data/admin-token").string();
  EXPECT_THROW(access.check(source), platform::Error);
  source.profile.clear();
  source.settings = {{"path", at("data/admin-token").string()}};
  try {
    access.check(source);
    FAIL() << "the token can be read";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kForbidden);
    for (const std::string& told :
         {at("data/admin-token").string(), at("data/inbox").string(), std::string("--files-from")})
      EXPECT_NE(std::string(error.what()).find(told), std::string::npos) << told << " in " << error.what();
  }
}

}  // namespace
