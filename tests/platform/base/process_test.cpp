#include "platform/base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace platform {
namespace {

TEST(Process, GivesItsExitCodeAndOutput) {
  const CommandOutput output = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(output.exit_code, 3);
  EXPECT_EQ(output.text, "out\nerr\n");
}

TEST(Process, ThatCannotStartIsAnErrorWithItsName) {
  try {
    run_command({"anneal-no-such-program"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("anneal-no-such-program"), std::string::npos);
  }
}

// Waits until the child has written its file: until then it may not have set its traps.
void wait_for_file(const std::filesystem::path& path) {
  for (int i = 0; i < 10000 && !std::filesystem::exists(path); ++i) ::usleep(1000);
  ASSERT_TRUE(std::filesystem::exists(path)) << path;
}

TEST(Process, IsKilledWhenItDoesNotListenToItsSignal) {
  const TemporaryFolder folder;
  ProcessOptions options;
  options.stop_grace = std::chrono::milliseconds(200);
  options.environment["READY"] = (folder.path() / "ready").string();
  Process deaf({"sh", "-c", "trap '' TERM; : > \"$READY\"; while :; do sleep 0.05; done"}, options);
  wait_for_file(folder.path() / "ready");
  EXPECT_EQ(deaf.stop(), 128 + SIGKILL);
}

TEST(Process, IsStoppedWithTheSignalOfItsOptions) {
  const TemporaryFolder folder;
  ProcessOptions options;
  options.stop_signal = SIGINT;
  options.environment["READY"] = (folder.path() / "ready").string();
  Process listening({"sh", "-c", "trap 'exit 7' INT; : > \"$READY\"; while :; do sleep 0.05; done"}, options);
  wait_for_file(folder.path() / "ready");
  EXPECT_EQ(listening.stop(), 7);
}

TEST(Process, InheritsNothingButTheStandardStreams) {
  const FileDescriptor open(::open("/dev/null", O_RDONLY));  // as a library opens one, without O_CLOEXEC
  ASSERT_GT(open.get(), 2);
  const std::string path = "/proc/self/fd/" + std::to_string(open.get());
  EXPECT_EQ(run_command({"test", "-e", path}).exit_code, 1) << path;
}

TEST(Process, WritesItsLogAndSeesItsEnvironment) {
  const TemporaryFolder folder;
  ProcessOptions options;
  options.environment["WORD"] = "hello";
  options.log_file = folder.path() / "log";
  Process process({"sh", "-c", "echo $WORD"}, options);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_EQ(read_file(folder.path() / "log"), "hello\n");
}

TEST(Process, KeepsItsLogFromTheEyesOfOthersAlsoAnOlderOne) {
  const TemporaryFolder folder;
  const auto mode = [&] { return static_cast<unsigned>(std::filesystem::status(folder.path() / "log").permissions()); };
  ProcessOptions options;
  options.log_file = folder.path() / "log";
  Process({"true"}, options).wait();
  EXPECT_EQ(mode(), 0600u);
  std::filesystem::permissions(folder.path() / "log", std::filesystem::perms(0644));
  Process({"true"}, options).wait();
  EXPECT_EQ(mode(), 0600u);
}

TEST(Process, IsNotInItsParentsGroupSoThatCtrlCReachesTheParentAlone) {
  const CommandOutput output = run_command({"sh", "-c", "cut -d' ' -f5 /proc/self/stat"});
  EXPECT_NE(std::atoi(output.text.c_str()), static_cast<int>(::getpgrp())) << output.text;
}

}  // namespace
}  // namespace platform
