#include "platform/store/dataset_store.h"

#include "platform/base/digest.h"
#include "platform/store/name_rule.h"
#include "platform/store/time_column.h"

namespace platform {
namespace {

const std::string kColumns =
    "id, project_id, dataset, number, content_hash, blob, counts, schema, statistics, report, lineage, " +
    utc_text("created_at");

json::object object_of(const pqxx::field& field) {
  return as_object(parse_json(field.c_str(), field.name()), field.name());
}

DatasetVersion version_from(const pqxx::row& row) {
  DatasetVersion version;
  version.id = DatasetVersionId(row[0].c_str());
  version.project = row[1].c_str();
  version.dataset = row[2].c_str();
  version.number = row[3].as<std::int64_t>();
  version.content_hash = row[4].c_str();
  version.blob = row[5].c_str();
  version.counts = object_of(row[6]);
  version.schema = object_of(row[7]);
  version.statistics = object_of(row[8]);
  version.report = object_of(row[9]);
  version.lineage = object_of(row[10]);
  version.created_at = parse_time(row[11].c_str());
  return version;
}

std::optional<DatasetVersion> one(const pqxx::result& rows) {
  return rows.empty() ? std::nullopt : std::optional(version_from(rows[0]));
}

}  // namespace

DatasetVersion DatasetStore::add_version(const DatasetVersion& version) {
  check_name(version.dataset, "dataset");
  check_digest(version.content_hash);
  const std::string id = new_uuid();
  return transact(database_, [&](pqxx::work& work) {
    work.exec_params("INSERT INTO datasets (project_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", version.project,
                     version.dataset);
    // The lock puts concurrent snapshots of one dataset in a row, so that numbers have no gaps.
    work.exec_params("SELECT 1 FROM datasets WHERE project_id = $1 AND name = $2 FOR UPDATE", version.project,
                     version.dataset);
    const pqxx::result known = work.exec_params(
        "SELECT " + kColumns + " FROM dataset_versions WHERE project_id = $1 AND dataset = $2 AND content_hash = $3",
        version.project, version.dataset, version.content_hash);
    if (!known.empty()) return version_from(known[0]);
    return version_from(work.exec_params1(
        "INSERT INTO dataset_versions (id, project_id, dataset, number, content_hash, blob, counts, schema, "
        "statistics, report, lineage) "
        "SELECT $1, $2, $3, coalesce(max(number), 0) + 1, $4, $5, $6::jsonb, $7::jsonb, $8::jsonb, $9::jsonb, "
        "$10::jsonb "
        "FROM dataset_versions WHERE project_id = $2 AND dataset = $3 RETURNING " +
            kColumns,
        id, version.project, version.dataset, version.content_hash, version.blob, canonical_json(version.counts),
        canonical_json(version.schema), canonical_json(version.statistics), canonical_json(version.report),
        canonical_json(version.lineage)));
  });
}

std::optional<DatasetVersion> DatasetStore::find_version(const std::string& project, const std::string& dataset,
                                                         std::int64_t number) {
  return transact(database_, [&](pqxx::work& work) {
    return one(work.exec_params(
        "SELECT " + kColumns + " FROM dataset_versions WHERE project_id = $1 AND dataset = $2 AND number = $3::bigint",
        project, dataset, number));
  });
}

std::optional<DatasetVersion> DatasetStore::find_by_id(const DatasetVersionId& id) {
  if (!is_uuid(id.str())) return std::nullopt;
  return transact(database_, [&](pqxx::work& work) {
    return one(work.exec_params("SELECT " + kColumns + " FROM dataset_versions WHERE id = $1", id.str()));
  });
}

std::optional<DatasetVersion> DatasetStore::find_by_hash(const std::string& project, const std::string& digest) {
  return transact(database_, [&](pqxx::work& work) {
    return one(work.exec_params(
        "SELECT " + kColumns +
            " FROM dataset_versions WHERE project_id = $1 AND (content_hash = $2 OR blob = $2) ORDER BY id LIMIT 1",
        project, digest));
  });
}

std::vector<DatasetVersion> DatasetStore::versions(const std::string& project, const std::string& dataset,
                                                   std::int64_t before, int limit) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<DatasetVersion> found;
    for (const pqxx::row& row :
         work.exec_params("SELECT " + kColumns +
                              " FROM dataset_versions WHERE project_id = $1 AND dataset = $2 "
                              "AND ($3::bigint = 0 OR number < $3::bigint) ORDER BY number DESC LIMIT $4",
                          project, dataset, before, limit)) {
      found.push_back(version_from(row));
    }
    return found;
  });
}

std::vector<Dataset> DatasetStore::list(const std::string& project, const std::string& after, int limit) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<Dataset> found;
    for (const pqxx::row& row : work.exec_params(
             "SELECT name, (SELECT count(*) FROM dataset_versions v WHERE v.project_id = d.project_id AND v.dataset = "
             "d.name), " +
                 utc_text("created_at") + " FROM datasets d WHERE project_id = $1 AND name > $2 ORDER BY name LIMIT $3",
             project, after, limit)) {
      found.push_back({project, row[0].c_str(), row[1].as<std::int64_t>(), parse_time(row[2].c_str())});
    }
    return found;
  });
}

}  // namespace platform
