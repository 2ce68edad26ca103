// Models, their versions, aliases and the history of the aliases. SQL of these tables lives here only; the rules (what
// may become `production`) are in platform/registry. Versions are written once and never changed; the history only
// grows. Thread-safe: every call takes a connection of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/model/model_version.h"
#include "platform/store/database.h"

namespace platform {

class ModelStore {
 public:
  explicit ModelStore(Database& database) : database_(database) {}

  /// Stores a version under the next number, making the model if there is none, and returns it with id, number and
  /// time. The same step of the same run with the same adapter gives the version that was stored first.
  ModelVersion add_version(const ModelVersion& version);
  std::optional<ModelVersion> find_version(const std::string& project, const std::string& model, std::int64_t number);
  std::optional<ModelVersion> find_by_adapter(const std::string& project, const std::string& adapter_digest);
  /// Newest first, numbers below `before` (0 = from the newest).
  std::vector<ModelVersion> versions(const std::string& project, const std::string& model, std::int64_t before = 0,
                                     int limit = 100);
  std::optional<Model> find(const std::string& project, const std::string& model);
  /// By name, names behind `after`.
  std::vector<Model> list(const std::string& project, const std::string& after = {}, int limit = 100);

  /// Moves the alias and writes its history line in one transaction. False if it stands there already (no line is
  /// written). Throws kNotFound if there is no such version.
  bool move_alias(const std::string& project, const std::string& model, const AliasChange& change);
  std::optional<std::int64_t> alias(const std::string& project, const std::string& model, const std::string& alias);
  /// Where the alias stood at that moment; nullopt if it was empty.
  std::optional<std::int64_t> alias_at(const std::string& project, const std::string& model, const std::string& alias,
                                       Time time);
  /// Oldest first; of every alias if `alias` is empty.
  std::vector<AliasChange> history(const std::string& project, const std::string& model, const std::string& alias);

 private:
  Database& database_;
};

}  // namespace platform
