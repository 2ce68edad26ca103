// Model, its immutable versions, the movable names (aliases) and who moved them when. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "platform/base/clock.h"
#include "platform/base/id.h"
#include "platform/base/json.h"

namespace platform {

struct Model {
  std::string project = "default";
  std::string name;
  std::int64_t versions = 0;  // how many there are
  json::object aliases;       // alias -> version number
  Time created_at{};
};

/// Base + adapter + evaluation + lineage; never changed afterwards.
struct ModelVersion {
  ModelVersionId id;  // empty until stored
  std::string project = "default";
  std::string model;
  std::int64_t number = 0;  // from 1; 0 until stored
  std::string base;         // name of the base
  std::string base_digest;
  std::string adapter_blob;     // digest of the adapter's folder in the blob store (BlobStore::put_folder)
  std::string adapter_digest;   // digest of its anneal.json: what every answer names
  std::string run;              // that made it; empty if registered by hand
  std::string step;             // of the run
  std::string dataset_version;  // id of a DatasetVersion, or the digest of its blob
  json::object evaluation;
  std::optional<json::object> gate;  // {passed, metric, checks, adapter_digest, ...}; absent = no gate judged it
  Time created_at{};

  /// "tool-failure/3".
  std::string str() const { return model + "/" + std::to_string(number); }
};

/// One move of an alias.
struct AliasChange {
  std::string alias;
  std::optional<std::int64_t> number;    // absent = taken away
  std::optional<std::int64_t> previous;  // absent = it was empty
  std::string actor;
  std::string reason;
  Time moved_at{};
};

}  // namespace platform
