// Sources and their gap ledgers. SQL of these tables lives here and, for the cursor and the gaps that belong to a batch
// of records, in record_store. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/model/source.h"
#include "platform/store/database.h"

namespace platform {

class SourceStore {
 public:
  explicit SourceStore(Database& database) : database_(database) {}

  /// Throws kConflict if the name is taken and kInvalidInput if it is no name (see name_rule.h).
  void create(const Source& source);
  std::optional<Source> find(const std::string& project, const std::string& name);
  /// By name, at most `limit`, names behind `after`.
  std::vector<Source> list(const std::string& project, const std::string& after = {}, int limit = 100);
  /// Throws kNotFound.
  void set_state(const std::string& project, const std::string& name, const std::string& state);
  /// Removes the source with its records and gaps. Returns false if there is none.
  bool remove(const std::string& project, const std::string& name);
  /// Oldest first.
  std::vector<SourceGap> gaps(const std::string& project, const std::string& name);

 private:
  Database& database_;
};

}  // namespace platform
