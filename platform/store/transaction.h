// How a store talks to the database: `transact(database, [&](pqxx::work& work) { ... })`. Included by platform/store
// only. The function may run more than once: it is repeated from the start when PostgreSQL reports a serialisation
// failure or a deadlock, so it touches nothing but its own result. Everything that the client library throws becomes
// platform::Error.
#pragma once

#include <pqxx/pqxx>
#include <utility>

#include "platform/base/file.h"
#include "platform/store/database.h"

namespace platform {

/// How long a transaction may take: DatabaseOptions::limit, or as long as it needs (a migration, the removal of a large
/// source).
enum class TimeLimit { kUsual, kNone };

/// A connection out of the pool for the time of one transaction. Not thread-safe.
class Lease {
 public:
  explicit Lease(Database& database, TimeLimit limit = TimeLimit::kUsual);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  pqxx::connection& connection() { return *connection_; }
  /// The connection is not given back but closed.
  void drop();

 private:
  void connect();
  void watch(TimeLimit limit);

  Database& database_;
  FileDescriptor socket_;  // a second handle of the connection's socket, by which it is cut at the limit
  std::unique_ptr<pqxx::connection> connection_;
};

/// What PostgreSQL said, with SQLSTATE and statement: it names tables, constraints and values of others, so it is a
/// cause (Error::cause) and no message.
std::string database_words(const std::exception& error);
/// Rethrows the exception in flight as platform::Error: server away or over a limit -> kUnavailable, unique or foreign
/// key -> kConflict, a value out of range or no text -> kInvalidInput, a key too long to be looked up -> kTooLarge,
/// disk full -> kDiskFull, all others kInternal. The message is ours, PostgreSQL's words are the cause. `broken` says
/// whether the connection must be dropped.
[[noreturn]] void throw_database_error(bool& broken);
/// True if the exception in flight asks for the transaction to be repeated.
bool asks_to_repeat();

/// Runs `work` in one transaction and commits it; returns what it returns.
template <class Work>
auto transact(Database& database, Work&& work, TimeLimit limit = TimeLimit::kUsual) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    Lease lease(database, limit);
    bool broken = false;
    try {
      pqxx::work transaction(lease.connection());
      if (limit == TimeLimit::kNone) transaction.exec0("SET LOCAL statement_timeout = 0");
      if constexpr (std::is_void_v<decltype(work(transaction))>) {
        work(transaction);
        transaction.commit();
        return;
      } else {
        auto result = work(transaction);
        transaction.commit();
        return result;
      }
    } catch (const Error&) {
      throw;
    } catch (const std::exception&) {
      if (attempt < kAttempts && asks_to_repeat()) continue;
      try {
        throw_database_error(broken);
      } catch (const Error&) {
        if (broken) lease.drop();
        throw;
      }
    }
  }
}

}  // namespace platform
