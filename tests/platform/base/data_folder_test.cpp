#include "platform/base/data_folder.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace platform {
namespace {

namespace fs = std::filesystem;

unsigned mode(const fs::path& path) { return static_cast<unsigned>(fs::status(path).permissions()); }

TEST(DataFolder, IsMadeForItsOwnersEyesOnly) {
  const TemporaryFolder folder;
  const DataFolder data{folder.path() / "new/data"};
  make_private(data);
  for (const fs::path& made : {data.root, data.blobs(), data.logs(), data.root / "work"})
    EXPECT_EQ(mode(made), 0700u) << made;
}

TEST(DataFolder, OfAnOlderProgramIsClosedButForTheWayThroughIt) {
  const TemporaryFolder folder;
  const DataFolder data{folder.path() / "data"};
  for (const fs::path& old : {data.root, data.blobs(), data.root / "inbox"}) {
    fs::create_directories(old);
    fs::permissions(old, fs::perms(0755));
  }
  make_private(data);
  EXPECT_EQ(mode(data.root), 0711u) << "the database's user must pass";
  EXPECT_EQ(mode(data.blobs()), 0700u);
  EXPECT_EQ(mode(data.root / "inbox"), 0755u) << "whoever delivers files may have been let in";
}

TEST(DataFolder, CannotBeAFolderThatIsEverybodys) {
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(01777));
  EXPECT_THROW(make_private({folder.path()}), Error);
  EXPECT_EQ(mode(folder.path()), 01777u);
}

TEST(DataFolder, NamesABaseByItsConfigurationOrItsGgufFile) {
  const TemporaryFolder folder;
  const DataFolder data{folder.path()};
  for (const char* name : {"plain", "packed", "neither"}) fs::create_directories(data.bases() / name);
  write_file_atomically(data.bases() / "plain/config.json", "{}");
  write_file_atomically(data.bases() / "packed/model.gguf", "GGUF");
  for (const char* name : {"plain", "packed"}) {
    EXPECT_EQ(base_folder(data, name), data.bases() / name);
    EXPECT_EQ(base_folder(data, (data.bases() / name).string()), data.bases() / name);
  }
  EXPECT_THROW(base_folder(data, "neither"), Error);
}

}  // namespace
}  // namespace platform
