#include "platform/store/token_store.h"

#include "platform/store/audit_chain.h"
#include "platform/store/time_column.h"

namespace platform {
namespace {

const std::string kColumns = "hash, project_id, name, role, " + utc_text("created_at") + ", " + utc_text("expires_at") +
                             ", " + utc_text("revoked_at");

constexpr const char* kPut =
    "INSERT INTO tokens (hash, project_id, name, role, expires_at) VALUES ($1, $2, $3, $4, $5::timestamptz) "
    "ON CONFLICT (project_id, name) DO UPDATE SET hash = excluded.hash, role = excluded.role, created_at = now(), "
    "expires_at = excluded.expires_at, revoked_at = NULL";

TokenRecord token_from(const pqxx::row& row) {
  return {row[0].c_str(),          row[1].c_str(),         row[2].c_str(), row[3].c_str(), parse_time(row[4].c_str()),
          time_or_nothing(row[5]), time_or_nothing(row[6])};
}

std::optional<std::string> text_of(const std::optional<Time>& time) {
  return time ? std::optional(format_time(*time)) : std::nullopt;
}

pqxx::result live_ones(pqxx::work& work, const std::string& project, const std::string& role,
                       const std::string& locking) {
  return work.exec_params(
      "SELECT name FROM tokens WHERE project_id = $1 AND role = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR "
      "expires_at > now()) ORDER BY name" +
          locking,
      project, role);
}

}  // namespace

void TokenStore::create(const TokenRecord& token, const std::optional<AuditLine>& line) {
  const bool made = transact(database_, [&](pqxx::work& work) {
    const pqxx::result put =
        work.exec_params(std::string(kPut) +
                             " WHERE tokens.role = excluded.role AND (tokens.revoked_at IS NOT NULL OR "
                             "tokens.expires_at <= now())",
                         token.hash, token.project, token.name, token.role, text_of(token.expires_at));
    if (put.affected_rows() > 0 && line) append_audit(work, *line);
    return put.affected_rows() > 0;
  });
  if (!made)
    throw Error(ErrorCode::kConflict,
                "there is a token named '" + token.name +
                    "' already, a live one or one of another role; revoke it first, or choose another name",
                "name");
}

void TokenStore::replace(const TokenRecord& token, const std::optional<AuditLine>& line) {
  transact(database_, [&](pqxx::work& work) {
    work.exec_params(kPut, token.hash, token.project, token.name, token.role, text_of(token.expires_at));
    if (line) append_audit(work, *line);
  });
}

std::optional<TokenRecord> TokenStore::find(const std::string& hash) {
  return transact(database_, [&](pqxx::work& work) -> std::optional<TokenRecord> {
    const pqxx::result rows = work.exec_params("SELECT " + kColumns + " FROM tokens WHERE hash = $1", hash);
    if (rows.empty()) return std::nullopt;
    return token_from(rows[0]);
  });
}

std::vector<TokenRecord> TokenStore::list(const std::string& project) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<TokenRecord> found;
    for (const pqxx::row& row :
         work.exec_params("SELECT " + kColumns + " FROM tokens WHERE project_id = $1 ORDER BY name", project))
      found.push_back(token_from(row));
    return found;
  });
}

bool TokenStore::has_live(const std::string& project, const std::string& role) {
  return transact(database_, [&](pqxx::work& work) { return !live_ones(work, project, role, "").empty(); });
}

bool TokenStore::revoke(const std::string& project, const std::string& name, const std::string& kept_role,
                        const std::optional<AuditLine>& line) {
  return transact(database_, [&](pqxx::work& work) {
    // Locked, so that whoever revokes another of them waits here and then finds one less.
    const pqxx::result live = live_ones(work, project, kept_role, " FOR UPDATE");
    if (live.size() == 1 && live[0][0].as<std::string>() == name)
      throw Error(ErrorCode::kConflict,
                  "'" + name + "' has the last live token of the role " + kept_role +
                      "; make a token of that role under another name first, then revoke this one",
                  "name");
    const pqxx::result revoked = work.exec_params(
        "UPDATE tokens SET revoked_at = now() WHERE project_id = $1 AND name = $2 AND revoked_at IS NULL", project,
        name);
    if (revoked.affected_rows() > 0 && line) append_audit(work, *line);
    return revoked.affected_rows() > 0;
  });
}

}  // namespace platform
