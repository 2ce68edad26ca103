#include "platform/base/folder_lock.h"

#include <gtest/gtest.h>

#include <csignal>

#include "platform/base/error.h"
#include "platform/base/process.h"

namespace {

using platform::FolderLock;

// Another program's try at the lock: 0 if it got it.
int others_try(const std::filesystem::path& folder) {
  return platform::run_command({"flock", "--nonblock", (folder / "lock").string(), "true"}).exit_code;
}

TEST(FolderLock, IsHeldByOneAtATimeAndFreeAgainWithItsObject) {
  const platform::TemporaryFolder folder;
  {
    const auto first = FolderLock::take(folder.path());
    ASSERT_TRUE(first);
    EXPECT_FALSE(FolderLock::take(folder.path())) << "also within one process";
    EXPECT_NE(others_try(folder.path()), 0);
  }
  EXPECT_TRUE(FolderLock::take(folder.path()));
  EXPECT_EQ(others_try(folder.path()), 0);
}

TEST(FolderLock, IsNotInheritedByAChildProcess) {
  const platform::TemporaryFolder folder;
  auto lock = FolderLock::take(folder.path());
  platform::Process child({"sleep", "60"});
  lock.reset();
  EXPECT_EQ(others_try(folder.path()), 0) << "the child lives and holds nothing";
}

TEST(FolderLock, IsFreeAfterItsProcessWasKilled) {
  const platform::TemporaryFolder folder;
  // --no-fork: the program that sleeps is the one that holds it.
  platform::Process holder({"flock", "--no-fork", (folder.path() / "lock").string(), "sleep", "60"});
  while (FolderLock::take(folder.path())) {
  }
  holder.signal(SIGKILL);
  holder.wait();
  EXPECT_TRUE(FolderLock::take(folder.path()));
}

TEST(FolderLock, AFolderThatIsNotThereIsNamed) {
  try {
    FolderLock::take("/nonexistent/data");
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("/nonexistent/data/lock"), std::string::npos) << error.what();
  }
}

}  // namespace
