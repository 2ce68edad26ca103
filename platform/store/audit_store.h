// The audit log: who did what to what, when. Lines are only appended; each line's hash covers the line before it, so
// that a line that was changed, taken out or put in between is found by verify(). Cutting the newest lines off is only
// found by one who noted the last hash elsewhere. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/store/database.h"

namespace platform {

struct AuditLine {
  std::int64_t id = 0;  // from 1 without gaps; set by append()
  std::string project = "default";
  Time at{};  // set by append()
  std::string actor;
  std::string action;   // "alias.set", "token.create", "request.refused", ...
  std::string subject;  // "model/tool-failure"
  json::object details;
  std::string hash;  // set by append()
};

struct AuditVerdict {
  std::int64_t lines = 0;                 // read
  std::optional<std::int64_t> broken_at;  // the first line that does not fit; absent = the chain holds
  std::string last_hash;                  // of the newest line; worth noting elsewhere
};

class AuditStore {
 public:
  explicit AuditStore(Database& database) : database_(database) {}

  /// Appends one line; appenders queue for a lock in the database.
  AuditLine append(const AuditLine& line);
  /// Newest first, ids below `before` (0 = from the newest).
  std::vector<AuditLine> list(const std::string& project, std::int64_t before = 0, int limit = 100);
  /// Reads the whole chain, of all projects, in portions.
  AuditVerdict verify();

 private:
  Database& database_;
};

}  // namespace platform
