// Where the outputs of other engines lie: ANNEAL_GOLDEN, default ../shared/golden. For tests only.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace support {

inline std::filesystem::path golden_folder() {
  const char* folder = std::getenv("ANNEAL_GOLDEN");
  return folder != nullptr ? folder : "../shared/golden";
}

}  // namespace support
