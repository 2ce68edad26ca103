// The rules of registered models: versions are immutable and registered once per run, step and adapter, `production`
// moves only to a version whose recorded gate passed, every move says who and why, and where an alias stood at any
// moment can be asked. Thread-safe; owns nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "platform/model/model_version.h"
#include "platform/store/dataset_store.h"
#include "platform/store/model_store.h"

namespace platform {

class ModelRegistry {
 public:
  ModelRegistry(ModelStore& models, DatasetStore& datasets) : models_(models), datasets_(datasets) {}

  /// Stores a version. Registering the same adapter from the same step of a run again returns the version that is
  /// there. Throws kInvalidInput for a model name that is none, digests that are none, or a gate report about another
  /// adapter.
  ModelVersion register_version(const ModelVersion& version);

  /// Moves an alias. Throws kNotFound for an unknown version and, for `production`, kConflict unless a passing gate
  /// report is recorded on the version; the message says what to do. Standing there already is no move and no history.
  void set_alias(const std::string& project, const std::string& model, const std::string& alias, std::int64_t number,
                 const std::string& actor, const std::string& reason);
  /// Moves the alias back to where it stood before its present version was reached; going back twice goes back two
  /// versions. Returns the version. Throws kConflict where there is nothing to go back to.
  ModelVersion roll_back(const std::string& project, const std::string& model, const std::string& alias,
                         const std::string& actor, const std::string& reason);

  /// "3", or an alias. nullopt if the alias is empty or there is no such version.
  std::optional<ModelVersion> resolve(const std::string& project, const std::string& model,
                                      const std::string& version_or_alias);
  std::optional<ModelVersion> alias_at(const std::string& project, const std::string& model, const std::string& alias,
                                       Time time);
  /// {version, base, adapter, run, dataset: {name, number, content_hash, lineage}, evaluation, gate}; what is not known
  /// is null.
  json::object lineage(const ModelVersion& version);

 private:
  ModelStore& models_;
  DatasetStore& datasets_;
};

/// Throws kConflict, saying what to do, unless the gate report that is recorded on the version has passed: only such a
/// version may become `production`, by alias or by rollout.
void require_passing_gate(const ModelVersion& version);

/// The version before the present one, of a history oldest first. Moving to a version that was live below the present
/// one counts as going back to it. Pure.
std::optional<std::int64_t> version_before(const std::vector<AliasChange>& history);

}  // namespace platform
