// Datasets and their versions. SQL of these tables lives here only. Versions are written once and never changed.
// Thread-safe: every call takes a connection of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/model/dataset.h"
#include "platform/store/database.h"

namespace platform {

class DatasetStore {
 public:
  explicit DatasetStore(Database& database) : database_(database) {}

  /// Stores a version under the next number, making the dataset if there is none, and returns it with id, number and
  /// time. A version with this content hash that is there already is returned as it was: the same examples
  /// under the same schema and split are one version. Throws kInvalidInput for a name that is none.
  DatasetVersion add_version(const DatasetVersion& version);
  std::optional<DatasetVersion> find_version(const std::string& project, const std::string& dataset,
                                             std::int64_t number);
  std::optional<DatasetVersion> find_by_id(const DatasetVersionId& id);
  /// The oldest version with this content hash or blob digest.
  std::optional<DatasetVersion> find_by_hash(const std::string& project, const std::string& digest);
  /// Newest first, numbers below `before` (0 = from the newest).
  std::vector<DatasetVersion> versions(const std::string& project, const std::string& dataset, std::int64_t before = 0,
                                       int limit = 100);
  /// By name, names behind `after`.
  std::vector<Dataset> list(const std::string& project, const std::string& after = {}, int limit = 100);

 private:
  Database& database_;
};

}  // namespace platform
