// Runs the current test once more in a process of its own, so that its peak memory is its own and nobody else's. For
// tests only.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "platform/base/file.h"
#include "platform/base/process.h"

namespace support {

/// Peak resident memory of this process since its program began, in KiB. (What wait4 and getrusage say begins before
/// that, with the parent's memory.)
inline long own_peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    long kibibytes = 0;
    status >> kibibytes;
    return kibibytes;
  }
  return -1;
}

/// The argument that the test was started with by peak_memory_of_child(); null in the test itself. A child reports its
/// peak memory when it ends.
inline const char* child_argument() {
  const char* argument = std::getenv("ANNEAL_CHILD");
  if (argument != nullptr) {
    std::atexit([] { std::ofstream(std::getenv("ANNEAL_CHILD_PEAK")) << own_peak_memory(); });
  }
  return argument;
}

/// Peak resident memory, in KiB, of the current test run alone with `argument`; -1, and a failure, if it does not pass.
inline long peak_memory_of_child(const std::string& argument) {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  const platform::TemporaryFolder folder;
  const std::filesystem::path report = folder.path() / "peak";
  const std::string filter = std::string("--gtest_filter=") + test->test_suite_name() + "." + test->name();
  const platform::CommandOutput output =
      platform::run_command({"/proc/self/exe", filter, "--gtest_brief=1"},
                            {.environment = {{"ANNEAL_CHILD", argument}, {"ANNEAL_CHILD_PEAK", report.string()}}});
  EXPECT_EQ(output.exit_code, 0) << output.text;
  long kibibytes = -1;
  std::ifstream(report) >> kibibytes;
  return output.exit_code == 0 ? kibibytes : -1;
}

}  // namespace support
