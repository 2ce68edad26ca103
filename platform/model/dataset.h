// Dataset and its immutable versions. Plain values.
#pragma once

#include <cstdint>
#include <string>

#include "platform/base/clock.h"
#include "platform/base/id.h"
#include "platform/base/json.h"

namespace platform {

struct Dataset {
  std::string project = "default";
  std::string name;
  std::int64_t versions = 0;  // how many there are
  Time created_at{};
};

/// What a snapshot made; never changed afterwards.
struct DatasetVersion {
  DatasetVersionId id;  // empty until stored
  std::string project = "default";
  std::string dataset;
  std::int64_t number = 0;   // from 1; 0 until stored
  std::string content_hash;  // "sha256:..." of the example lines, the schema and the split together
  std::string blob;          // digest of the stored bytes
  json::object counts;       // {train, validation, test}
  json::object schema;
  json::object statistics;
  json::object report;   // the pre-flight report
  json::object lineage;  // {sources, records, from, to, query, run, ...}
  Time created_at{};
};

}  // namespace platform
