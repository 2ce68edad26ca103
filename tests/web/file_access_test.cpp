#include "web/api/file_access.h"

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
  const web::FileAccess usual({}, data());
  for (const char* open : {"data/inbox", "data/inbox/deep/a.csv", "data/inbox/not-yet.csv", "data/profiles/p.yaml"})
    EXPECT_TRUE(usual.allows(at(open))) << open;
  for (const char* closed : {"data/admin-token", "data/keys/root.key", "data", "plant/b.csv",
                             "data/inbox/../admin-token", "data/inbox-2/a.csv", "."})
    EXPECT_FALSE(usual.allows(at(closed))) << closed;
  const web::FileAccess named({at("plant")}, data());
  EXPECT_TRUE(named.allows(at("plant/b.csv")));
  EXPECT_FALSE(named.allows(at("plant-2/b.csv")));
  EXPECT_FALSE(named.allows(at("data/inbox/deep/a.csv")));
}

TEST_F(FileAccess, AFolderAboveTheDataFolderOpensNothingInIt) {
  const web::FileAccess everything({"/"}, data());
  EXPECT_TRUE(everything.allows(at("plant/b.csv")));
  for (const char* closed : {"data/admin-token", "data/keys", "data/inbox/deep/a.csv"})
    EXPECT_FALSE(everything.allows(at(closed))) << closed;
}

TEST_F(FileAccess, LooksWhereLinksLead) {
  const web::FileAccess access({at("plant")}, data());
  fs::create_symlink(at("data/admin-token"), at("plant/innocent.csv"));
  fs::create_directory_symlink(at("data"), at("plant/folder"));
  fs::create_directory_symlink(at("plant"), at("same"));
  EXPECT_FALSE(access.allows(at("plant/innocent.csv")));
  EXPECT_FALSE(access.allows(at("plant/folder/keys/root.key")));
  EXPECT_FALSE(access.allows(at("plant"))) << "a folder's source would read the link in it";
  EXPECT_TRUE(access.allows(at("same/b.csv")));
}

TEST_F(FileAccess, TheServersOwnFoldersCannotBeGivenAway) {
  for (const char* own : {"data", "data/keys", "data/postgres/cluster", "data/admin-token", "data/logs"})
    EXPECT_THROW(web::FileAccess({at(own)}, data()), platform::Error) << own;
}

TEST_F(FileAccess, ChecksTheFileAndTheProfileOfASource) {
  const web::FileAccess access({}, data());
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

TEST_F(FileAccess, ChecksTheFilesAndTheProfileOfARunWithItsInputsInPlace) {
  const web::FileAccess access({}, data());
  const auto refused = [&](json::object with, json::object inputs = {}) {
    platform::Run run;
    run.inputs = std::move(inputs);
    platform::RunStep step;
    step.definition.name = "data";
    step.definition.kind = "dataset.snapshot";
    step.definition.with = std::move(with);
    run.steps.push_back(step);
    try {
      access.check(run);
      return false;
    } catch (const platform::Error& error) {
      return error.code() == platform::ErrorCode::kForbidden;
    }
  };
  const std::string secret = at("data/admin-token"), open = at("data/inbox/deep/a.csv");
  EXPECT_FALSE(refused({{"files", open}}));
  EXPECT_FALSE(refused({{"files", json::object{{"line-3", open}}}, {"profile", "machine-failure"}}));
  EXPECT_FALSE(refused({{"files", "${{ inputs.file }}"}}, {{"file", open}}));
  EXPECT_FALSE(refused({{"source", "line-3"}, {"profile", json::object{{"name", secret}}}}));
  EXPECT_TRUE(refused({{"files", secret}}));
  EXPECT_TRUE(refused({{"files", json::object{{"line-3", open}, {"line-4", secret}}}}));
  EXPECT_TRUE(refused({{"files", "${{ inputs.file }}"}}, {{"file", secret}}));
  EXPECT_TRUE(refused({{"files", at("data").string() + "/${{ inputs.file }}"}}, {{"file", "admin-token"}}));
  EXPECT_TRUE(refused({{"files", "${{ steps.a.name }}"}}));
  EXPECT_TRUE(refused({{"source", "line-3"}, {"profile", secret}}));
  EXPECT_TRUE(refused({{"source", "line-3"}, {"profile", "${{ inputs.p }}"}}, {{"p", secret}}));
  EXPECT_TRUE(refused({{"source", "line-3"}, {"profile", "${{ steps.a.name }}"}}));
}

}  // namespace
