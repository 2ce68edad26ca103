#include "platform/store/record_store.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "platform/base/digest.h"
#include "platform/base/shortened.h"
#include "platform/dataset/storable.h"
#include "platform/store/time_column.h"
#include "platform/store/transaction.h"

namespace platform {
namespace {

// A commit takes at most about this many records, so that one answer never waits for a flood.
constexpr std::size_t kRecordsPerCommit = 20'000;
constexpr int kScanPortion = 2'000;
constexpr std::size_t kLongestIdempotencyKey = 255;
constexpr std::chrono::hours kKeysRemoved{1};  // how often old idempotency keys are looked for

// A request that waits for its commit, with the records that the database can hold. Shared by the caller, who may leave
// before the commit comes, and the writer.
struct Pending {
  IngestRequest request;
  std::string hash;  // of the records, where there is an idempotency key
  IngestResult result;
  std::optional<Error> error;  // of its own: one exception thrown to several callers would be shared by their threads
  bool done = false;
};
using PendingPtr = std::shared_ptr<Pending>;

json::object signals_of(const Observation& record) {
  json::object signals;
  for (const auto& [name, signal] : record.signals) signals[name] = to_json(signal);
  return signals;
}

std::string hash_of(const std::vector<Observation>& records) {
  Sha256 hash;
  for (const Observation& record : records) {
    const json::array all{record.key, record.event_time.time_since_epoch().count(), record.fields, signals_of(record),
                          record.usable};
    hash.update(canonical_json(all) + "\n");
  }
  return hash.hex();
}

// Takes the records out that the database cannot hold, so that each costs itself alone.
void refuse_unstorable(Pending& pending) {
  IngestRequest& request = pending.request;
  std::vector<Observation> kept;
  kept.reserve(request.records.size());
  std::int64_t place = 0;
  for (Observation& record : request.records) {
    if (auto reason = what_cannot_be_stored(record)) {
      pending.result.refused.push_back({place, *std::move(reason)});
    } else {
      kept.push_back(std::move(record));
    }
    ++place;
  }
  if (!pending.result.refused.empty() && kept.empty() && !request.cursor && request.gaps.empty()) {
    const RefusedRecord& first = pending.result.refused.front();
    throw Error(ErrorCode::kInvalidInput, first.reason, "[" + std::to_string(first.place) + "]");
  }
  request.records = std::move(kept);
}

void copy_in(pqxx::work& work, const std::vector<PendingPtr>& batch) {
  work.exec0(
      "CREATE TEMPORARY TABLE staging (request int, ordinal int, project_id text, source text, key text, event_time "
      "timestamptz, fields jsonb, signals jsonb, usable boolean) "
      "ON COMMIT DROP");
  const std::vector<std::string> columns{"request",    "ordinal", "project_id", "source", "key",
                                         "event_time", "fields",  "signals",    "usable"};
  pqxx::stream_to stream(work, "staging", columns);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    int ordinal = 0;
    for (const Observation& record : batch[i]->request.records) {
      const json::object signals = signals_of(record);
      std::optional<std::string> time, signal_text;
      if (record.event_time != Time{}) time = format_time(record.event_time);
      if (!signals.empty()) signal_text = canonical_json(signals);
      stream << std::make_tuple(static_cast<int>(i), ordinal++, batch[i]->request.project, batch[i]->request.source,
                                record.key, time ? time->c_str() : nullptr, canonical_json(record.fields),
                                signal_text ? signal_text->c_str() : nullptr, record.usable ? "t" : "f");
    }
  }
  stream.complete();
}

// Moves the staged rows over; adds to each request how many of its rows were new.
void move_staged(pqxx::work& work, std::vector<IngestResult>& results) {
  const pqxx::result rows = work.exec(
      "WITH fresh AS (SELECT DISTINCT ON (project_id, source, key) * FROM staging ORDER BY project_id, source, key, "
      "request, ordinal), "
      "inserted AS (INSERT INTO records (project_id, source, key, event_time, fields, signals, usable) "
      "  SELECT project_id, source, key, event_time, fields, signals, usable FROM fresh ORDER BY request, ordinal "
      "  ON CONFLICT (project_id, source, key) DO NOTHING RETURNING project_id, source, key) "
      "SELECT fresh.request, count(*) FROM fresh JOIN inserted USING (project_id, source, key) GROUP BY fresh.request");
  for (const pqxx::row& row : rows) results[row[0].as<std::size_t>()].accepted = row[1].as<std::int64_t>();
}

void save_place(pqxx::work& work, const IngestRequest& request) {
  for (const SourceGap& gap : request.gaps) {
    work.exec_params("INSERT INTO gaps (project_id, source, began_at, ended_at, reason) VALUES ($1, $2, $3, $4, $5)",
                     request.project, request.source, format_time(gap.from), format_time(gap.to), gap.reason);
  }
  if (!request.cursor) return;
  work.exec_params("UPDATE sources SET cursor = $3::jsonb WHERE project_id = $1 AND name = $2", request.project,
                   request.source, canonical_json(*request.cursor));
}

std::optional<IngestResult> remembered(pqxx::work& work, const Pending& pending) {
  const IngestRequest& request = pending.request;
  if (request.idempotency_key.empty()) return std::nullopt;
  const pqxx::result rows = work.exec_params(
      "SELECT answer, request_hash FROM idempotency_keys WHERE project_id = $1 AND scope = $2 AND key = $3",
      request.project, "records/" + request.source, request.idempotency_key);
  if (rows.empty()) return std::nullopt;
  if (const std::string hash = rows[0][1].c_str(); !hash.empty() && hash != pending.hash)
    throw Error(ErrorCode::kConflict,
                "the Idempotency-Key '" + request.idempotency_key +
                    "' came with other records before; send these records under a key of their own",
                "Idempotency-Key");
  const json::value answer = parse_json(rows[0][0].c_str(), "answer");
  return IngestResult{require_int(answer.get_object(), "accepted", "answer"),
                      require_int(answer.get_object(), "duplicates", "answer"), pending.result.refused};
}

void remember(pqxx::work& work, const Pending& pending, const IngestResult& result) {
  const IngestRequest& request = pending.request;
  if (request.idempotency_key.empty()) return;
  work.exec_params(
      "INSERT INTO idempotency_keys (project_id, scope, key, answer, request_hash) VALUES ($1, $2, $3, $4::jsonb, $5)",
      request.project, "records/" + request.source, request.idempotency_key,
      canonical_json(json::object{{"accepted", result.accepted}, {"duplicates", result.duplicates}}), pending.hash);
}

// A sender that repeats does so within minutes or, after a long outage, days.
void remove_old_keys(Database& database) {
  transact(database, [](pqxx::work& work) {
    work.exec0("DELETE FROM idempotency_keys WHERE created_at < now() - interval '7 days'");
  });
}

Error no_source(const std::string& name, std::string cause = {}) {
  return {ErrorCode::kNotFound, "no source '" + name + "'; create it before records are sent to it", "source",
          std::move(cause)};
}

void insert(pqxx::work& work, const std::vector<PendingPtr>& fresh, std::vector<IngestResult>& made) {
  try {
    copy_in(work, fresh);
    move_staged(work, made);
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      made[i].refused = fresh[i]->result.refused;
      made[i].duplicates = static_cast<std::int64_t>(fresh[i]->request.records.size()) - made[i].accepted;
      save_place(work, fresh[i]->request);
      remember(work, *fresh[i], made[i]);
    }
  } catch (const pqxx::foreign_key_violation& error) {  // a source was removed after ingest() had looked for it
    throw no_source(fresh.front()->request.source, database_words(error));
  }
}

// Stores all requests in one transaction, or throws and stores none.
void store(Database& database, const std::vector<PendingPtr>& batch) {
  const auto results = transact(database, [&](pqxx::work& work) {
    std::vector<IngestResult> answers(batch.size());
    std::vector<PendingPtr> fresh;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (const auto before = remembered(work, *batch[i])) {
        answers[i] = *before;
      } else {
        fresh.push_back(batch[i]);
        places.push_back(i);
      }
    }
    if (fresh.empty()) return answers;
    std::vector<IngestResult> made(fresh.size());
    insert(work, fresh, made);
    for (std::size_t i = 0; i < fresh.size(); ++i) answers[places[i]] = made[i];
    return answers;
  });
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->result = results[i];
}

void check_writer(Database& database, const IngestRequest& request) {
  const pqxx::result rows = transact(database, [&](pqxx::work& work) {
    return work.exec_params("SELECT kind FROM sources WHERE project_id = $1 AND name = $2", request.project,
                            request.source);
  });
  if (rows.empty()) throw no_source(request.source);
  const SourceKind kind = source_kind_from(rows[0][0].c_str());
  if (kind == request.from) return;
  if (kind == SourceKind::kFeedback)
    throw Error(ErrorCode::kForbidden,
                "source " + request.source + " takes what agents report only; POST /v1/feedback to the agent",
                "source");
  throw Error(ErrorCode::kConflict,
              "source " + request.source + " takes no feedback; delete it, and it is made anew for feedback", "source");
}

void check_idempotency_key(const std::string& key) {
  if (key.size() <= kLongestIdempotencyKey && is_plain_text(key)) return;
  throw Error(ErrorCode::kInvalidInput,
              "an Idempotency-Key is UTF-8 text of at most 255 bytes, not '" + shortened(key, 60) + "'; send a hash",
              "Idempotency-Key");
}

Observation observation_from(const std::string& source, const pqxx::row& row) {
  Observation record;
  record.source = source;
  record.key = row[0].c_str();
  if (!row[1].is_null()) record.event_time = parse_time(row[1].c_str());
  record.fields = as_object(parse_json(row[2].c_str(), "fields"), "fields");
  if (!row[3].is_null()) {
    const json::value signals = parse_json(row[3].c_str(), "signals");
    for (const auto& pair : signals.get_object())
      record.signals[pair.key()] = signal_from_json(pair.value(), "signals");
  }
  record.usable = row[4].as<bool>();
  return record;
}

const std::string kRecordColumns = "key, " + utc_text("event_time") + ", fields, signals, usable";

}  // namespace

// The thread that commits. Requests that carry the same idempotency key never share a commit, so that the second finds
// the first one's answer.
class RecordStore::Writer {
 public:
  Writer(Database& database, Log log) : database_(database), log_(std::move(log)), thread_([this] { run(); }) {}
  ~Writer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    arrived_.notify_all();
    thread_.join();
  }

  /// Throws kUnavailable if the commit does not come within the limit of a transaction.
  void put(const PendingPtr& pending) {
    std::unique_lock lock(mutex_);
    queue_.push_back(pending);
    arrived_.notify_one();
    if (finished_.wait_for(lock, database_.limit(), [&] { return pending->done; })) return;
    std::erase(queue_, pending);
    throw Error(
        ErrorCode::kUnavailable,
        "the database did not store the records in time; send them again, what is stored already is not doubled");
  }

 private:
  std::vector<PendingPtr> take() {
    std::vector<PendingPtr> batch;
    std::set<std::string> keys;
    std::size_t records = 0;
    while (!queue_.empty() && records < kRecordsPerCommit) {
      const IngestRequest& next = queue_.front()->request;
      if (!next.idempotency_key.empty() &&
          !keys.insert(next.project + "/" + next.source + "/" + next.idempotency_key).second)
        break;
      records += next.records.size();
      batch.push_back(queue_.front());
      queue_.pop_front();
    }
    return batch;
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      arrived_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const std::vector<PendingPtr> batch = take();
      lock.unlock();
      commit(batch);
      lock.lock();
      for (const PendingPtr& pending : batch) pending->done = true;
      finished_.notify_all();
      if (std::chrono::steady_clock::now() < remove_keys_at_) continue;
      remove_keys_at_ = std::chrono::steady_clock::now() + kKeysRemoved;
      lock.unlock();
      remove_keys();
      lock.lock();
    }
  }

  void remove_keys() {
    try {
      remove_old_keys(database_);
    } catch (const Error& error) {  // they are looked for again
      log_.warning("old idempotency keys were not removed", {{"error", in_full(error)}});
    }
  }

  void commit(const std::vector<PendingPtr>& batch) {
    try {
      store(database_, batch);
    } catch (const Error& error) {
      // One bad request must not cost the others: each is tried alone, unless the database itself is the trouble.
      const bool alone = batch.size() == 1 || retryable(error.code());
      for (const PendingPtr& pending : batch) {
        if (alone) {
          pending->error.emplace(error.code(), error.what(), error.path(), error.cause());
        } else {
          commit({pending});
        }
      }
    } catch (const std::exception& error) {
      log_.error("records were not stored", {{"error", in_full(error)}});
      for (const PendingPtr& pending : batch)
        pending->error.emplace(ErrorCode::kInternal, "the records were not stored", std::string(), error.what());
    }
  }

  Database& database_;
  Log log_;
  std::mutex mutex_;
  std::condition_variable arrived_, finished_;
  std::deque<PendingPtr> queue_;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point remove_keys_at_{};  // of the thread only
  std::thread thread_;
};

RecordStore::RecordStore(Database& database, Log log)
    : database_(database), writer_(std::make_unique<Writer>(database, std::move(log))) {}
RecordStore::~RecordStore() = default;

IngestResult RecordStore::ingest(IngestRequest request) {
  check_writer(database_, request);
  check_idempotency_key(request.idempotency_key);
  const auto pending = std::make_shared<Pending>();
  pending->request = std::move(request);
  refuse_unstorable(*pending);
  if (!pending->request.idempotency_key.empty()) pending->hash = hash_of(pending->request.records);
  writer_->put(pending);
  if (pending->error) throw std::move(*pending->error);
  return pending->result;
}

void RecordStore::scan(const std::string& project, const std::string& source,
                       const std::function<bool(Observation&&)>& take) {
  std::string after;
  bool first = true;
  for (;;) {
    // One portion a transaction: a slow reader holds no snapshot open.
    const pqxx::result rows = transact(database_, [&](pqxx::work& work) {
      return work.exec_params(
          "SELECT " + kRecordColumns +
              " FROM records WHERE project_id = $1 AND source = $2 AND (key > $3 OR $4) ORDER BY key LIMIT $5",
          project, source, after, first, kScanPortion);
    });
    for (const pqxx::row& row : rows) {
      Observation record = observation_from(source, row);
      after = record.key;
      if (!take(std::move(record))) return;
    }
    first = false;
    if (rows.size() < static_cast<pqxx::result::size_type>(kScanPortion)) return;
  }
}

std::vector<Observation> RecordStore::latest(const std::string& project, const std::string& source, int limit) {
  const pqxx::result rows = transact(database_, [&](pqxx::work& work) {
    return work.exec_params("SELECT " + kRecordColumns +
                                " FROM records WHERE project_id = $1 AND source = $2 ORDER BY position DESC LIMIT $3",
                            project, source, limit);
  });
  std::vector<Observation> records;
  for (const pqxx::row& row : rows) records.push_back(observation_from(source, row));
  return records;
}

std::int64_t RecordStore::count(const std::string& project, const std::string& source) {
  return transact(database_, [&](pqxx::work& work) {
    return work.exec_params1("SELECT count(*) FROM records WHERE project_id = $1 AND source = $2", project, source)[0]
        .as<std::int64_t>();
  });
}

json::value RecordStore::cursor(const std::string& project, const std::string& source) {
  return transact(database_, [&](pqxx::work& work) -> json::value {
    const pqxx::result rows =
        work.exec_params("SELECT cursor FROM sources WHERE project_id = $1 AND name = $2", project, source);
    if (rows.empty()) throw Error(ErrorCode::kNotFound, "no source '" + source + "'", "source");
    return rows[0][0].is_null() ? json::value(nullptr) : parse_json(rows[0][0].c_str(), "cursor");
  });
}

}  // namespace platform
