// Where the outputs of other engines lie: tests/golden, which the project makes itself, and beside it the folder that
// ANNEAL_GOLDEN names, default ../shared/golden, where it is there. Tests read both. For tests only.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "platform/base/json.h"

/// Ends the test as skipped, naming the folders, where none of them has this file or folder.
#define SKIP_WITHOUT_GOLDEN(name)                                                                  \
  if (support::golden_paths(name).empty())                                                         \
  GTEST_SKIP() << "no golden outputs: " << (name) << " is neither in " << support::golden_folder() \
               << " nor in tests/golden"

namespace support {

/// The larger one, which may be absent.
inline std::filesystem::path golden_folder() {
  const char* folder = std::getenv("ANNEAL_GOLDEN");
  return folder != nullptr ? folder : "../shared/golden";
}

/// A file or folder in each of the two that has it.
inline std::vector<std::filesystem::path> golden_paths(const std::filesystem::path& name) {
  std::vector<std::filesystem::path> found;
  for (const std::filesystem::path& folder : {golden_folder(), std::filesystem::path("tests/golden")}) {
    if (std::filesystem::exists(folder / name)) found.push_back(folder / name);
  }
  return found;
}

/// The folders under `name` in both, by their names.
inline std::vector<std::filesystem::path> golden_cases(const std::filesystem::path& name) {
  std::vector<std::filesystem::path> cases;
  for (const std::filesystem::path& folder : golden_paths(name)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_directory()) cases.push_back(entry.path());
    }
  }
  std::sort(cases.begin(), cases.end(), [](const auto& a, const auto& b) {
    return a.filename() == b.filename() ? a < b : a.filename() < b.filename();
  });
  return cases;
}

/// The documents of a file of JSON lines.
inline std::vector<platform::json::value> golden_lines(const std::filesystem::path& path) {
  std::vector<platform::json::value> lines;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) lines.push_back(platform::json::parse(line));
  }
  return lines;
}

}  // namespace support
