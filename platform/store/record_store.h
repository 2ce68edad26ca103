// Records: what sources observed. An ingest returns only after its records are committed; the same key from the same
// source twice is one record, and the answer says so. Many small requests share one commit: a writer thread takes
// everything that waits, copies it in and commits once. Thread-safe; the destructor finishes what waits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/log.h"
#include "platform/dataset/observation.h"
#include "platform/model/source.h"
#include "platform/store/database.h"

namespace platform {

/// A record that the database cannot hold.
struct RefusedRecord {
  std::int64_t place = 0;  // in the request, from 0
  std::string reason;
};

struct IngestResult {
  std::int64_t accepted = 0;
  std::int64_t duplicates = 0;
  std::vector<RefusedRecord> refused;  // the others are stored all the same
};

/// One request to store. `source` of the observations is not read.
struct IngestRequest {
  std::string project = "default";
  std::string source;
  SourceKind from = SourceKind::kRecords;  // whom the records come from; it must be the source's kind
  std::vector<Observation> records;
  std::string idempotency_key;        // empty = none; the same request again within a week gets the first answer and
                                      // stores nothing
  std::vector<SourceGap> gaps;        // stored in the same transaction
  std::optional<json::value> cursor;  // the source's place to go on from, saved in the same transaction
};

class RecordStore {
 public:
  explicit RecordStore(Database& database, Log log = Log::silent());
  ~RecordStore();

  /// Blocks until committed. Throws kNotFound for an unknown source, kForbidden if it takes feedback only, kConflict if
  /// it takes none or if the idempotency key came with other records before, kInvalidInput if the database can hold
  /// none of the records of a push (a request without cursor and gaps), kDiskFull, and kUnavailable if the database is
  /// away or does not answer within its limits (then nothing is acknowledged; repeating is safe). A request that fails
  /// costs the requests beside it nothing.
  IngestResult ingest(IngestRequest request);

  /// Calls `take` for every record of the source in order of key until it returns false; reads in portions.
  void scan(const std::string& project, const std::string& source, const std::function<bool(Observation&&)>& take);
  /// Newest arrivals first.
  std::vector<Observation> latest(const std::string& project, const std::string& source, int limit);
  std::int64_t count(const std::string& project, const std::string& source);
  /// Null if none was saved. Throws kNotFound.
  json::value cursor(const std::string& project, const std::string& source);

 private:
  class Writer;
  Database& database_;
  std::unique_ptr<Writer> writer_;
};

}  // namespace platform
