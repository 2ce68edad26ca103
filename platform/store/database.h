// The PostgreSQL database of one installation: a bounded pool of connections and the migrations. No SQL type shows
// here, so that only platform/store sees the client library; stores write their statements with
// platform/store/transaction.h. Thread-safe. A connection is checked out for one transaction; a broken one is dropped
// and made anew at the next use. A database that does not answer is given up after the limits below, so that no caller
// waits for ever.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "platform/base/log.h"

namespace platform {

struct DatabaseOptions {
  std::string connection;                // libpq connection string or postgresql:// address
  int connections = 8;                   // most connections held at once
  std::chrono::milliseconds wait{5000};  // for a free connection; then kUnavailable
  std::chrono::seconds connect_limit{5};
  std::chrono::milliseconds limit{30'000};  // of one transaction; then its connection is cut and it is kUnavailable
};

/// The database is away, busy, or over a limit; what was asked may or may not have been done, and may be asked again. A
/// type of its own, so that a worker can tell its own database from a peer that is away.
class DatabaseUnavailable final : public Error {
 public:
  explicit DatabaseUnavailable(const std::string& message, std::string cause = {})
      : Error(ErrorCode::kUnavailable, message, {}, std::move(cause)) {}
};

class Database {
 public:
  /// Connects at first use, not here.
  explicit Database(DatabaseOptions options, Log log = Log::silent());
  ~Database();

  /// Applies the migrations that are not applied yet, in order, each in its own transaction and under an advisory lock.
  /// Throws kCorrupt if an applied migration differs from the built-in one, or if the database is newer than this
  /// program.
  void migrate();
  /// Throws kUnavailable if a connection cannot be made or does not answer.
  void check();
  const std::string& connection_string() const { return options_.connection; }
  /// Of one transaction.
  std::chrono::milliseconds limit() const { return options_.limit; }

 private:
  friend class Lease;
  struct Pool;
  DatabaseOptions options_;
  Log log_;
  std::unique_ptr<Pool> pool_;
};

/// One embedded migration, in order of `number`.
struct Migration {
  int number = 0;
  std::string name;
  std::string sql;
};
const std::vector<Migration>& migrations();

}  // namespace platform
