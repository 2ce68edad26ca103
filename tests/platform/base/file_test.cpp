#include "platform/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/error.h"

namespace platform {
namespace {

TEST(File, IsReplacedWholeAndKeepsTheAskedMode) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "secret";
  write_file_atomically(path, "one", 0600);
  write_file_atomically(path, "two", 0600);
  EXPECT_EQ(read_file(path), "two");
  struct stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "a temporary file was left behind";
}

TEST(File, OverTheLimitIsRefusedBeforeItIsHeld) {
  const TemporaryFolder folder;
  write_file_atomically(folder.path() / "big", std::string(200'000, 'x'));
  try {
    read_file(folder.path() / "big", 100'000);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kTooLarge);
  }
}

TEST(File, AFolderIsReplacedWholeAndTheOldOneIsGone) {
  const TemporaryFolder parent;
  const auto fresh = parent.path() / "fresh", folder = parent.path() / "folder";
  for (const char* content : {"one", "two"}) {
    std::filesystem::create_directory(fresh);
    write_file_atomically(fresh / "content", content);
    if (content == std::string("one")) write_file_atomically(fresh / "only-in-the-first", "");
    replace_folder(fresh, folder);
    EXPECT_EQ(read_file(folder / "content"), content);
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "only-in-the-first"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(parent.path()), {}), 1) << "the old folder was left";
}

TEST(File, MissingSaysWhichOne) {
  try {
    read_file("/nonexistent/file");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("/nonexistent/file"), std::string::npos);
  }
}

TEST(File, OnAFullDiskLeavesTheOldOneAndNoTemporary) {
  const TemporaryFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "cannot mount a small disk here";
  write_file_atomically(folder.path() / "kept", "old");
  try {
    write_file_atomically(folder.path() / "kept", std::string(4 << 20, 'x'));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDiskFull) << error.what();
  }
  EXPECT_EQ(read_file(folder.path() / "kept"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  ::umount(folder.path().c_str());
}

}  // namespace
}  // namespace platform
