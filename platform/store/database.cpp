#include "platform/store/database.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>

#include "platform/base/digest.h"
#include "platform/base/repeating_task.h"
#include "platform/base/shortened.h"
#include "platform/store/transaction.h"

namespace platform {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

struct Held {
  std::unique_ptr<pqxx::connection> connection;
  FileDescriptor socket;
};

// A lease under way, to be cut at its time.
struct Watched {
  SteadyTime until;
  int socket;
};

// An idle connection has nothing to say: something to read means that the server closed it, for instance because it was
// started anew. Finding that here spares the caller an error for a transaction that never began.
bool was_closed(const pqxx::connection& connection) {
  pollfd socket{.fd = connection.sock(), .events = POLLIN | POLLRDHUP, .revents = 0};
  return socket.fd < 0 || ::poll(&socket, 1, 0) != 0;
}

// The connection string with our limits where it says nothing of its own.
std::string with_limits(const DatabaseOptions& options) {
  const std::pair<std::string, std::string> defaults[] = {
      {"connect_timeout", std::to_string(options.connect_limit.count())},
      {"keepalives_idle", "10"},
      {"keepalives_interval", "5"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", std::to_string(options.limit.count())}};
  const std::string& given = options.connection;
  const bool address = given.starts_with("postgresql://") || given.starts_with("postgres://");
  std::string out = given;
  for (const auto& [name, value] : defaults) {
    if (given.find(name + "=") != std::string::npos) continue;
    if (address) {
      out += (out.find('?') == std::string::npos ? "?" : "&") + name + "=" + value;
    } else {
      out += " " + name + "=" + value;
    }
  }
  return out;
}

}  // namespace

struct Database::Pool {
  // A server that is stopped or unreachable leaves its client waiting in the kernel: only cutting the socket wakes it.
  void cut_overdue() {
    const std::lock_guard lock(mutex);
    for (const auto& [lease, watched] : this->watched) {
      if (watched.until <= std::chrono::steady_clock::now()) ::shutdown(watched.socket, SHUT_RDWR);
    }
  }

  std::mutex mutex;
  std::condition_variable freed;
  std::vector<Held> idle;
  std::map<const Lease*, Watched> watched;
  int out = 0;                           // checked out at this moment
  std::optional<RepeatingTask> cutting;  // last: it uses all of the above
};

Database::Database(DatabaseOptions options, Log log)
    : options_(std::move(options)), log_(std::move(log)), pool_(std::make_unique<Pool>()) {
  const auto period = std::clamp(options_.limit / 8, std::chrono::milliseconds(20), std::chrono::milliseconds(1000));
  pool_->cutting.emplace(
      "cutting database connections", period, [pool = pool_.get()] { pool->cut_overdue(); }, log_);
}
Database::~Database() = default;

Lease::Lease(Database& database, TimeLimit limit) : database_(database) {
  Database::Pool& pool = *database_.pool_;
  {
    std::unique_lock lock(pool.mutex);
    const auto free = [&] { return pool.out < database_.options_.connections; };
    if (!pool.freed.wait_for(lock, database_.options_.wait, free)) {
      throw DatabaseUnavailable("all " + std::to_string(database_.options_.connections) +
                                " database connections are busy; try again");
    }
    ++pool.out;
    if (!pool.idle.empty()) {
      connection_ = std::move(pool.idle.back().connection);
      socket_ = std::move(pool.idle.back().socket);
      pool.idle.pop_back();
    }
  }
  if (!connection_ || !connection_->is_open() || was_closed(*connection_)) connect();
  watch(limit);
}

void Lease::watch(TimeLimit limit) {
  Database::Pool& pool = *database_.pool_;
  const std::lock_guard lock(pool.mutex);
  if (limit == TimeLimit::kNone) {
    pool.watched.erase(this);
  } else {
    pool.watched[this] = {std::chrono::steady_clock::now() + database_.options_.limit, socket_.get()};
  }
}

void Lease::connect() {
  try {
    connection_.reset();
    connection_ = std::make_unique<pqxx::connection>(with_limits(database_.options_));
    socket_ = FileDescriptor(::fcntl(connection_->sock(), F_DUPFD_CLOEXEC, 0));
    if (!socket_) throw_errno("keeping a handle of a database connection", errno);
    watch(TimeLimit::kUsual);
    // A server that lives ends a long statement itself.
    pqxx::nontransaction(*connection_)
        .exec0("SET statement_timeout = " + std::to_string(database_.options_.limit.count()));
  } catch (const std::exception& error) {
    Database::Pool& pool = *database_.pool_;
    const std::lock_guard lock(pool.mutex);
    --pool.out;
    pool.watched.erase(this);
    pool.freed.notify_one();
    throw DatabaseUnavailable("the database cannot be reached; look whether it runs", database_words(error));
  }
}

Lease::~Lease() {
  Database::Pool& pool = *database_.pool_;
  const std::lock_guard lock(pool.mutex);
  --pool.out;
  pool.watched.erase(this);
  if (connection_ && connection_->is_open()) pool.idle.push_back({std::move(connection_), std::move(socket_)});
  pool.freed.notify_one();
}

void Lease::drop() { connection_.reset(); }

bool asks_to_repeat() {
  try {
    throw;
  } catch (const pqxx::serialization_failure&) {
    return true;
  } catch (const pqxx::deadlock_detected&) {
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

std::string database_words(const std::exception& error) {
  constexpr std::size_t kLongest = 2000;
  std::string words = error.what();
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error))
    words += " [" + sql->sqlstate() + "] " + sql->query();
  return shortened(words, kLongest);
}

namespace {

// What stands behind a refusal of a statement, by its SQLSTATE. `broken`: the server shuts down or starts up.
[[noreturn]] void throw_sql_error(const pqxx::sql_error& error, bool& broken) {
  const std::string state = error.sqlstate(), words = database_words(error);
  broken = state.starts_with("57P");
  if (state == "57014") throw DatabaseUnavailable("the database took longer than its limit; try again", words);
  if (broken || state == "53300") throw DatabaseUnavailable("the database is not available; try again", words);
  if (state.starts_with("54"))
    throw Error(ErrorCode::kTooLarge, "a name or key is longer than the database can look up; choose a shorter one", {},
                words);
  throw Error(ErrorCode::kInternal, "the database refused a statement of this program; the server's log says why", {},
              words);
}

}  // namespace

void throw_database_error(bool& broken) {
  broken = false;
  try {
    throw;
  } catch (const pqxx::broken_connection& error) {
    broken = true;
    throw DatabaseUnavailable("the database went away; try again", database_words(error));
  } catch (const pqxx::in_doubt_error& error) {
    broken = true;
    throw DatabaseUnavailable("the database went away during a commit; ask again", database_words(error));
  } catch (const pqxx::transaction_rollback& error) {
    broken = true;
    throw DatabaseUnavailable("the database gave a transaction up; try again", database_words(error));
  } catch (const pqxx::unique_violation& error) {
    throw Error(ErrorCode::kConflict, "another request made the same thing just now; look at it, then ask again", {},
                database_words(error));
  } catch (const pqxx::foreign_key_violation& error) {
    throw Error(ErrorCode::kConflict,
                "something that this needs was removed meanwhile, or something still needs what this removes; look at "
                "what there is, then ask again",
                {}, database_words(error));
  } catch (const pqxx::data_exception& error) {
    throw Error(ErrorCode::kInvalidInput,
                "the database cannot hold a value: send text as UTF-8 without NUL characters, and numbers and times "
                "within their ranges",
                {}, database_words(error));
  } catch (const pqxx::disk_full& error) {
    throw Error(ErrorCode::kDiskFull, "the database's disk is full; free space on it", {}, database_words(error));
  } catch (const pqxx::sql_error& error) {
    throw_sql_error(error, broken);
  } catch (const std::exception& error) {
    broken = true;
    throw Error(ErrorCode::kInternal, "the database's answer is not understood; the server's log says why", {},
                database_words(error));
  }
}

void Database::check() {
  transact(*this, [](pqxx::work& work) { work.exec1("SELECT 1"); });
}

void Database::migrate() {
  // Any constant does, as long as every program of ours takes the same lock.
  constexpr std::int64_t kMigrationLock = 0x616e6e65616c;
  int newest = 0;
  for (const Migration& migration : migrations()) {
    newest = migration.number;
    const std::string checksum = sha256_hex(migration.sql);
    const bool applied_now = transact(
        *this,
        [&](pqxx::work& work) {
          work.exec_params("SELECT pg_advisory_xact_lock($1)", kMigrationLock);
          work.exec0(
              "CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY, name text NOT NULL, checksum text "
              "NOT "
              "NULL, applied_at timestamptz NOT NULL DEFAULT now())");
          const pqxx::result known =
              work.exec_params("SELECT checksum FROM schema_migrations WHERE number = $1", migration.number);
          if (!known.empty()) {
            if (known[0][0].as<std::string>() == checksum) return false;
            throw Error(ErrorCode::kCorrupt, "migration " + migration.name +
                                                 " was applied with another text; use the program version that made "
                                                 "this database, or restore a backup");
          }
          work.exec(migration.sql);
          work.exec_params("INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                           migration.number, migration.name, checksum);
          return true;
        },
        TimeLimit::kNone);
    if (applied_now) log_.info("migration applied", {{"migration", migration.name}});
  }
  const int found = transact(*this, [](pqxx::work& work) {
    return work.exec1("SELECT coalesce(max(number), 0) FROM schema_migrations")[0].as<int>();
  });
  if (found > newest) {
    throw Error(ErrorCode::kCorrupt, "the database is at migration " + std::to_string(found) +
                                         ", newer than this program's " + std::to_string(newest) +
                                         "; use the newer program");
  }
}

}  // namespace platform
