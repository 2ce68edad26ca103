#include "platform/store/source_store.h"

#include "platform/store/name_rule.h"
#include "platform/store/time_column.h"

namespace platform {
namespace {

const std::string kColumns =
    "project_id, name, connector, settings, profile, schedule, owner, location, state, kind, " + utc_text("created_at");

Source source_from(const pqxx::row& row) {
  Source source;
  source.project = row[0].c_str();
  source.name = row[1].c_str();
  source.connector = row[2].c_str();
  source.settings = as_object(parse_json(row[3].c_str(), "settings"), "settings");
  source.profile = row[4].c_str();
  source.schedule = row[5].c_str();
  source.owner = row[6].c_str();
  source.location = row[7].c_str();
  source.state = row[8].c_str();
  source.kind = source_kind_from(row[9].c_str());
  source.created_at = parse_time(row[10].c_str());
  return source;
}

}  // namespace

void SourceStore::create(const Source& source) {
  check_name(source.name, "source", "name");
  const bool made = transact(database_, [&](pqxx::work& work) {
    return work.exec_params(
                   "INSERT INTO sources (project_id, name, connector, settings, profile, schedule, owner, location, "
                   "state, kind) VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
                   source.project, source.name, source.connector, canonical_json(source.settings), source.profile,
                   source.schedule, source.owner, source.location, source.state, std::string(to_string(source.kind)))
               .affected_rows() > 0;
  });
  if (!made)
    throw Error(ErrorCode::kConflict,
                "there is a source named " + source.name + " already; choose another name or delete it", "name");
}

std::optional<Source> SourceStore::find(const std::string& project, const std::string& name) {
  return transact(database_, [&](pqxx::work& work) -> std::optional<Source> {
    const pqxx::result rows =
        work.exec_params("SELECT " + kColumns + " FROM sources WHERE project_id = $1 AND name = $2", project, name);
    if (rows.empty()) return std::nullopt;
    return source_from(rows[0]);
  });
}

std::vector<Source> SourceStore::list(const std::string& project, const std::string& after, int limit) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<Source> sources;
    for (const pqxx::row& row : work.exec_params(
             "SELECT " + kColumns + " FROM sources WHERE project_id = $1 AND name > $2 ORDER BY name LIMIT $3", project,
             after, limit)) {
      sources.push_back(source_from(row));
    }
    return sources;
  });
}

void SourceStore::set_state(const std::string& project, const std::string& name, const std::string& state) {
  transact(database_, [&](pqxx::work& work) {
    if (work.exec_params("UPDATE sources SET state = $3 WHERE project_id = $1 AND name = $2", project, name, state)
            .affected_rows() == 0) {
      throw Error(ErrorCode::kNotFound, "no source '" + name + "'", "name");
    }
  });
}

bool SourceStore::remove(const std::string& project, const std::string& name) {
  const auto remove_all = [&](pqxx::work& work) {
    work.exec_params("DELETE FROM gaps WHERE project_id = $1 AND source = $2", project, name);
    work.exec_params("DELETE FROM records WHERE project_id = $1 AND source = $2", project, name);
    // A source made anew under this name knows nothing of what was sent to this one.
    work.exec_params("DELETE FROM idempotency_keys WHERE project_id = $1 AND scope = $2", project, "records/" + name);
    return work.exec_params("DELETE FROM sources WHERE project_id = $1 AND name = $2", project, name).affected_rows() >
           0;
  };
  return transact(database_, remove_all, TimeLimit::kNone);
}

std::vector<SourceGap> SourceStore::gaps(const std::string& project, const std::string& name) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<SourceGap> gaps;
    const pqxx::result rows =
        work.exec_params("SELECT " + utc_text("began_at") + ", " + utc_text("ended_at") +
                             ", reason FROM gaps WHERE project_id = $1 AND source = $2 ORDER BY began_at, id",
                         project, name);
    for (const pqxx::row& row : rows)
      gaps.push_back({parse_time(row[0].c_str()), parse_time(row[1].c_str()), row[2].c_str()});
    return gaps;
  });
}

}  // namespace platform
