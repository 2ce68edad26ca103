// `anneal run` without a server, on a workflow that asks a person.
#include <gtest/gtest.h>
#include <unistd.h>

#include "platform/base/file.h"
#include "tests/support/plant.h"

namespace tests {
namespace {

class RunAloneEndToEnd : public testing::Test {
 protected:
  void SetUp() override {
    // The database belongs to another user.
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
    platform::write_file_atomically(flow(), "name: asks\nsteps:\n  ok: {uses: approval, with: {role: engineer}}\n");
  }
  std::filesystem::path flow() const { return folder_.path() / "asks.yaml"; }
  std::filesystem::path data() const { return folder_.path() / "data"; }
  std::string command() const {
    return program("anneal") + " run " + flow().string() + " --data-folder " + data().string() + " --threads 1";
  }

  platform::TemporaryFolder folder_;
};

TEST_F(RunAloneEndToEnd, AStepThatWaitsForAPersonIsToldAndTheCommandFailsWhereNobodyCanBeAsked) {
  const auto ran = platform::run_command({"sh", "-c", command() + " < /dev/null"});
  EXPECT_EQ(ran.exit_code, 1) << ran.text;
  for (const char* words : {"it waits for a person", "anneal serve --data-folder ", "anneal runs approve "})
    EXPECT_NE(ran.text.find(words), std::string::npos) << ran.text;
}

TEST_F(RunAloneEndToEnd, AStepThatWaitsForAPersonIsAskedAboutOnTheTerminal) {
  if (::access("/usr/bin/script", X_OK) != 0) GTEST_SKIP() << "the program script makes no terminal here";
  for (const auto& [answer, code, words] :
       {std::tuple{"y", 0, "ok  succeeded"}, std::tuple{"n", 1, "rejected by admin"}}) {
    const auto ran = platform::run_command(
        {"sh", "-c", "(echo " + std::string(answer) + "; sleep 20) | script -qec '" + command() + "' /dev/null"});
    EXPECT_EQ(ran.exit_code, code) << ran.text;
    EXPECT_NE(ran.text.find("step 'ok' waits for a person. Go on? [y/n]"), std::string::npos) << ran.text;
    EXPECT_NE(ran.text.find(words), std::string::npos) << ran.text;
  }
}

}  // namespace
}  // namespace tests
