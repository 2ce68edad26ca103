#include "platform/store/record_store.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "platform/store/transaction.h"

namespace platform {
namespace {

// A commit takes at most about this many records, so that one answer never waits for a flood.
constexpr std::size_t kRecordsPerCommit = 20'000;
constexpr int kScanPortion = 2'000;

// A request that waits for its commit.
struct Pending {
  IngestRequest request;
  IngestResult result;
  std::exception_ptr error;
  bool done = false;
};

void copy_in(pqxx::work& work, const std::vector<Pending*>& batch) {
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
      json::object signals;
      for (const auto& [name, signal] : record.signals) signals[name] = to_json(signal);
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

std::optional<IngestResult> remembered(pqxx::work& work, const IngestRequest& request) {
  if (request.idempotency_key.empty()) return std::nullopt;
  const pqxx::result rows =
      work.exec_params("SELECT answer FROM idempotency_keys WHERE project_id = $1 AND scope = $2 AND key = $3",
                       request.project, "records/" + request.source, request.idempotency_key);
  if (rows.empty()) return std::nullopt;
  const json::value answer = parse_json(rows[0][0].c_str(), "answer");
  return IngestResult{require_int(answer.get_object(), "accepted", "answer"),
                      require_int(answer.get_object(), "duplicates", "answer")};
}

void remember(pqxx::work& work, const IngestRequest& request, const IngestResult& result) {
  if (request.idempotency_key.empty()) return;
  work.exec_params("INSERT INTO idempotency_keys (project_id, scope, key, answer) VALUES ($1, $2, $3, $4::jsonb)",
                   request.project, "records/" + request.source, request.idempotency_key,
                   canonical_json(json::object{{"accepted", result.accepted}, {"duplicates", result.duplicates}}));
}

// Stores all requests in one transaction, or throws and stores none.
void store(Database& database, const std::vector<Pending*>& batch) {
  const auto results = transact(database, [&](pqxx::work& work) {
    std::vector<IngestResult> answers(batch.size());
    std::vector<Pending*> fresh;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (const auto before = remembered(work, batch[i]->request)) {
        answers[i] = *before;
      } else {
        fresh.push_back(batch[i]);
        places.push_back(i);
      }
    }
    if (fresh.empty()) return answers;
    std::vector<IngestResult> made(fresh.size());
    copy_in(work, fresh);
    move_staged(work, made);
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      made[i].duplicates = static_cast<std::int64_t>(fresh[i]->request.records.size()) - made[i].accepted;
      save_place(work, fresh[i]->request);
      remember(work, fresh[i]->request, made[i]);
      answers[places[i]] = made[i];
    }
    return answers;
  });
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->result = results[i];
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

constexpr const char* kRecordColumns =
    "key, to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), fields, signals, usable";

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

  void put(Pending& pending) {
    std::unique_lock lock(mutex_);
    queue_.push_back(&pending);
    arrived_.notify_one();
    finished_.wait(lock, [&] { return pending.done; });
  }

 private:
  std::vector<Pending*> take() {
    std::vector<Pending*> batch;
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
      const std::vector<Pending*> batch = take();
      lock.unlock();
      commit(batch);
      lock.lock();
      for (Pending* pending : batch) pending->done = true;
      finished_.notify_all();
    }
  }

  void commit(const std::vector<Pending*>& batch) {
    try {
      store(database_, batch);
    } catch (const Error& error) {
      // One bad request must not cost the others: each is tried alone, unless the database itself is the trouble.
      const bool alone = batch.size() == 1 || retryable(error.code());
      for (Pending* pending : batch) {
        if (alone) {
          pending->error = std::current_exception();
        } else {
          commit({pending});
        }
      }
    } catch (const std::exception& error) {
      log_.error("records were not stored", {{"error", error.what()}});
      for (Pending* pending : batch) pending->error = std::current_exception();
    }
  }

  Database& database_;
  Log log_;
  std::mutex mutex_;
  std::condition_variable arrived_, finished_;
  std::deque<Pending*> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

RecordStore::RecordStore(Database& database, Log log)
    : database_(database), writer_(std::make_unique<Writer>(database, std::move(log))) {}
RecordStore::~RecordStore() = default;

IngestResult RecordStore::ingest(IngestRequest request) {
  const bool known = transact(database_, [&](pqxx::work& work) {
    return !work.exec_params("SELECT 1 FROM sources WHERE project_id = $1 AND name = $2", request.project,
                             request.source)
                .empty();
  });
  if (!known)
    throw Error(ErrorCode::kNotFound, "no source '" + request.source + "'; create it before records are sent to it",
                "source");
  Pending pending{std::move(request), {}, {}, false};
  writer_->put(pending);
  if (pending.error) std::rethrow_exception(pending.error);
  return pending.result;
}

void RecordStore::scan(const std::string& project, const std::string& source,
                       const std::function<bool(Observation&&)>& take) {
  std::string after;
  bool first = true;
  for (;;) {
    // One portion a transaction: a slow reader holds no snapshot open.
    const pqxx::result rows = transact(database_, [&](pqxx::work& work) {
      return work.exec_params(
          std::string("SELECT ") + kRecordColumns +
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
    return work.exec_params(std::string("SELECT ") + kRecordColumns +
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
