#include "platform/base/process.h"

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

TEST(Process, IsStoppedWithItsSignalAndKilledWhenItDoesNotListen) {
  ProcessOptions options;
  options.stop_grace = std::chrono::milliseconds(200);
  Process deaf({"sh", "-c", "trap '' TERM; echo ready > \"$READY\"; while :; do sleep 0.05; done"}, [&] {
    options.environment["READY"] = "/dev/null";
    return options;
  }());
  EXPECT_FALSE(deaf.wait_for(std::chrono::milliseconds(100)));
  const int code = deaf.stop();
  EXPECT_TRUE(code == 128 + SIGKILL || code == 128 + SIGTERM) << code;
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
