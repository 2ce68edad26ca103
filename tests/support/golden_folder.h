// Where the outputs of other engines lie: ANNEAL_GOLDEN, default ../shared/golden. For tests only.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "platform/base/json.h"

namespace support {

inline std::filesystem::path golden_folder() {
  const char* folder = std::getenv("ANNEAL_GOLDEN");
  return folder != nullptr ? folder : "../shared/golden";
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
