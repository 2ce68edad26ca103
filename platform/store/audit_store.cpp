#include "platform/store/audit_store.h"

#include "platform/base/digest.h"
#include "platform/store/audit_chain.h"
#include "platform/store/time_column.h"

namespace platform {
namespace {

const std::string kColumns = "id, project_id, " + utc_text("at") + ", actor, action, subject, details::text, hash";
// Any constant does, as long as every appender takes the same lock.
constexpr std::int64_t kAuditLock = 0x6175646974;
constexpr int kPortion = 1000;

// Over the text of every column as the database gives it back, each with its length, so that no two lines share a hash.
std::string hash_of(const std::string& previous, const pqxx::row& row) {
  std::string text = previous;
  for (int column = 0; column < 7; ++column) {
    const std::string value = row[column].c_str();
    text += "\n" + std::to_string(value.size()) + ":" + value;
  }
  return sha256_hex(text);
}

AuditLine line_from(const pqxx::row& row) {
  return {row[0].as<std::int64_t>(),
          row[1].c_str(),
          parse_time(row[2].c_str()),
          row[3].c_str(),
          row[4].c_str(),
          row[5].c_str(),
          as_object(parse_json(row[6].c_str(), "details"), "details"),
          row[7].c_str()};
}

}  // namespace

AuditLine append_audit(pqxx::work& work, const AuditLine& line) {
  work.exec_params("SELECT pg_advisory_xact_lock($1)", kAuditLock);
  const pqxx::result last = work.exec("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1");
  const std::int64_t id = last.empty() ? 1 : last[0][0].as<std::int64_t>() + 1;
  const std::string previous = last.empty() ? "" : last[0][1].c_str();
  const pqxx::row written = work.exec_params1(
      "INSERT INTO audit (id, project_id, at, actor, action, subject, details, hash) VALUES ($1, $2, "
      "clock_timestamp(), $3, $4, $5, $6::jsonb, '') RETURNING " +
          kColumns,
      id, line.project, line.actor, line.action, line.subject, canonical_json(line.details));
  AuditLine done = line_from(written);
  done.hash = hash_of(previous, written);
  work.exec_params("UPDATE audit SET hash = $2 WHERE id = $1", id, done.hash);
  return done;
}

AuditLine AuditStore::append(const AuditLine& line) {
  return transact(database_, [&](pqxx::work& work) { return append_audit(work, line); });
}

std::vector<AuditLine> AuditStore::list(const std::string& project, std::int64_t before, int limit) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<AuditLine> found;
    for (const pqxx::row& row :
         work.exec_params("SELECT " + kColumns +
                              " FROM audit WHERE project_id = $1 AND ($2 = 0 OR id < $2) ORDER BY id DESC LIMIT $3",
                          project, before, limit))
      found.push_back(line_from(row));
    return found;
  });
}

AuditVerdict AuditStore::verify() {
  AuditVerdict verdict;
  for (;;) {
    const pqxx::result rows = transact(database_, [&](pqxx::work& work) {
      return work.exec_params("SELECT " + kColumns + " FROM audit WHERE id > $1 ORDER BY id LIMIT $2", verdict.lines,
                              kPortion);
    });
    if (rows.empty()) return verdict;
    for (const pqxx::row& row : rows) {
      const std::int64_t expected = verdict.lines + 1;
      if (row[0].as<std::int64_t>() != expected || hash_of(verdict.last_hash, row) != row[7].c_str()) {
        verdict.broken_at = expected;
        return verdict;
      }
      verdict.lines = expected;
      verdict.last_hash = row[7].c_str();
    }
  }
}

}  // namespace platform
