// A real PostgreSQL of the test program's own: one private cluster in a temporary folder, started at first use and
// removed at the end, and for each test a fresh, migrated database in it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "platform/base/file.h"
#include "platform/store/database.h"
#include "platform/store/private_cluster.h"

namespace tests {

/// The program's cluster. fsync is off: tests kill processes, not the machine.
inline platform::PrivateCluster& test_cluster() {
  static const platform::TemporaryFolder folder;
  static platform::PrivateCluster cluster({folder.path()}, platform::Log::silent(), {.durable = false});
  return cluster;
}

/// Makes an empty database and gives its connection string.
std::string make_database(platform::PrivateCluster& cluster);

class TempDatabase : public testing::Test {
 protected:
  void SetUp() override {
    database_ =
        std::make_unique<platform::Database>(platform::DatabaseOptions{.connection = make_database(test_cluster())});
    database_->migrate();
  }
  platform::Database& database() { return *database_; }

 private:
  std::unique_ptr<platform::Database> database_;
};

}  // namespace tests
