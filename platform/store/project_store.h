// The projects of this server. SQL of this table lives here only. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "platform/store/database.h"

namespace platform {

class ProjectStore {
 public:
  explicit ProjectStore(Database& database) : database_(database) {}

  /// By name.
  std::vector<std::string> names();

 private:
  Database& database_;
};

}  // namespace platform
