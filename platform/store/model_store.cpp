#include "platform/store/model_store.h"

#include "platform/store/name_rule.h"
#include "platform/store/time_column.h"

namespace platform {
namespace {

const std::string kColumns =
    "id, project_id, model, number, base, base_digest, adapter_blob, adapter_digest, run_id, step, dataset_version, "
    "evaluation, gate, " +
    utc_text("created_at");
const std::string kModelColumns =
    "name, (SELECT count(*) FROM model_versions v WHERE v.project_id = m.project_id AND v.model = m.name), "
    "(SELECT coalesce(jsonb_object_agg(alias, number), '{}') FROM aliases a WHERE a.project_id = m.project_id AND "
    "a.model = m.name), " +
    utc_text("created_at") + " FROM models m WHERE project_id = $1";

ModelVersion version_from(const pqxx::row& row) {
  ModelVersion version;
  version.id = ModelVersionId(row[0].c_str());
  version.project = row[1].c_str();
  version.model = row[2].c_str();
  version.number = row[3].as<std::int64_t>();
  version.base = row[4].c_str();
  version.base_digest = row[5].c_str();
  version.adapter_blob = row[6].c_str();
  version.adapter_digest = row[7].c_str();
  version.run = row[8].c_str();
  version.step = row[9].c_str();
  version.dataset_version = row[10].c_str();
  version.evaluation = as_object(parse_json(row[11].c_str(), "evaluation"), "evaluation");
  if (!row[12].is_null()) version.gate = as_object(parse_json(row[12].c_str(), "gate"), "gate");
  version.created_at = parse_time(row[13].c_str());
  return version;
}

Model model_from(const std::string& project, const pqxx::row& row) {
  return {project, row[0].c_str(), row[1].as<std::int64_t>(),
          as_object(parse_json(row[2].c_str(), "aliases"), "aliases"), parse_time(row[3].c_str())};
}

std::optional<ModelVersion> one(const pqxx::result& rows) {
  return rows.empty() ? std::nullopt : std::optional(version_from(rows[0]));
}

std::optional<std::int64_t> number_or_nothing(const pqxx::field& field) {
  return field.is_null() ? std::nullopt : std::optional(field.as<std::int64_t>());
}

// Changes of one model wait for each other, so that numbers have no gaps and the history has an order.
void lock_model(pqxx::work& work, const std::string& project, const std::string& model) {
  work.exec_params("SELECT 1 FROM models WHERE project_id = $1 AND name = $2 FOR UPDATE", project, model);
}

}  // namespace

ModelVersion ModelStore::add_version(const ModelVersion& version) {
  check_name(version.model, "model");
  const std::string id = new_uuid();
  const std::optional<std::string> gate = version.gate ? std::optional(canonical_json(*version.gate)) : std::nullopt;
  return transact(database_, [&](pqxx::work& work) {
    work.exec_params("INSERT INTO models (project_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", version.project,
                     version.model);
    lock_model(work, version.project, version.model);
    if (!version.run.empty()) {
      const pqxx::result known = work.exec_params(
          "SELECT " + kColumns +
              " FROM model_versions WHERE project_id = $1 AND run_id = $2 AND step = $3 AND adapter_digest = $4",
          version.project, version.run, version.step, version.adapter_digest);
      if (!known.empty()) return version_from(known[0]);
    }
    return version_from(work.exec_params1(
        "INSERT INTO model_versions (id, project_id, model, number, base, base_digest, adapter_blob, adapter_digest, "
        "run_id, step, dataset_version, evaluation, gate) "
        "SELECT $1, $2, $3, coalesce(max(number), 0) + 1, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12::jsonb "
        "FROM model_versions WHERE project_id = $2 AND model = $3 RETURNING " +
            kColumns,
        id, version.project, version.model, version.base, version.base_digest, version.adapter_blob,
        version.adapter_digest, version.run, version.step, version.dataset_version, canonical_json(version.evaluation),
        gate));
  });
}

std::optional<ModelVersion> ModelStore::find_version(const std::string& project, const std::string& model,
                                                     std::int64_t number) {
  return transact(database_, [&](pqxx::work& work) {
    return one(work.exec_params(
        "SELECT " + kColumns + " FROM model_versions WHERE project_id = $1 AND model = $2 AND number = $3::bigint",
        project, model, number));
  });
}

std::optional<ModelVersion> ModelStore::find_by_adapter(const std::string& project, const std::string& adapter_digest) {
  return transact(database_, [&](pqxx::work& work) {
    return one(work.exec_params(
        "SELECT " + kColumns + " FROM model_versions WHERE project_id = $1 AND adapter_digest = $2 ORDER BY id LIMIT 1",
        project, adapter_digest));
  });
}

std::vector<ModelVersion> ModelStore::versions(const std::string& project, const std::string& model,
                                               std::int64_t before, int limit) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<ModelVersion> found;
    for (const pqxx::row& row :
         work.exec_params("SELECT " + kColumns +
                              " FROM model_versions WHERE project_id = $1 AND model = $2 AND "
                              "($3::bigint = 0 OR number < $3::bigint) ORDER BY number DESC LIMIT $4",
                          project, model, before, limit)) {
      found.push_back(version_from(row));
    }
    return found;
  });
}

std::optional<Model> ModelStore::find(const std::string& project, const std::string& model) {
  return transact(database_, [&](pqxx::work& work) -> std::optional<Model> {
    const pqxx::result rows = work.exec_params("SELECT " + kModelColumns + " AND name = $2", project, model);
    if (rows.empty()) return std::nullopt;
    return model_from(project, rows[0]);
  });
}

std::vector<Model> ModelStore::list(const std::string& project, const std::string& after, int limit) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<Model> found;
    for (const pqxx::row& row :
         work.exec_params("SELECT " + kModelColumns + " AND name > $2 ORDER BY name LIMIT $3", project, after, limit))
      found.push_back(model_from(project, row));
    return found;
  });
}

bool ModelStore::move_alias(const std::string& project, const std::string& model, const AliasChange& change) {
  check_name(change.alias, "alias");
  return transact(database_, [&](pqxx::work& work) {
    lock_model(work, project, model);
    const pqxx::result present = work.exec_params(
        "SELECT number FROM aliases WHERE project_id = $1 AND model = $2 AND alias = $3", project, model, change.alias);
    const std::optional<std::int64_t> previous =
        present.empty() ? std::nullopt : std::optional(present[0][0].as<std::int64_t>());
    if (previous == change.number) return false;
    if (!change.number) {
      work.exec_params("DELETE FROM aliases WHERE project_id = $1 AND model = $2 AND alias = $3", project, model,
                       change.alias);
    } else {
      if (work.exec_params("SELECT 1 FROM model_versions WHERE project_id = $1 AND model = $2 AND number = $3::bigint",
                           project, model, *change.number)
              .empty()) {
        throw Error(ErrorCode::kNotFound,
                    "there is no version " + model + "/" + std::to_string(*change.number) + "; GET /api/v1/models/" +
                        model + "/versions lists them",
                    "version");
      }
      work.exec_params(
          "INSERT INTO aliases (project_id, model, alias, number) VALUES ($1, $2, $3, $4) ON CONFLICT (project_id, "
          "model, alias) DO UPDATE SET number = excluded.number",
          project, model, change.alias, *change.number);
    }
    // The clock after the lock, not the transaction's beginning: moves that waited must not seem earlier.
    work.exec_params(
        "INSERT INTO alias_history (project_id, model, alias, number, previous, actor, reason, moved_at) VALUES ($1, "
        "$2, $3, $4, $5, $6, $7, clock_timestamp())",
        project, model, change.alias, change.number, previous, change.actor, change.reason);
    return true;
  });
}

std::optional<std::int64_t> ModelStore::alias(const std::string& project, const std::string& model,
                                              const std::string& alias) {
  return transact(database_, [&](pqxx::work& work) -> std::optional<std::int64_t> {
    const pqxx::result rows = work.exec_params(
        "SELECT number FROM aliases WHERE project_id = $1 AND model = $2 AND alias = $3", project, model, alias);
    return rows.empty() ? std::nullopt : number_or_nothing(rows[0][0]);
  });
}

std::optional<std::int64_t> ModelStore::alias_at(const std::string& project, const std::string& model,
                                                 const std::string& alias, Time time) {
  return transact(database_, [&](pqxx::work& work) -> std::optional<std::int64_t> {
    const pqxx::result rows = work.exec_params(
        "SELECT number FROM alias_history WHERE project_id = $1 AND model = $2 AND alias = $3 AND moved_at <= "
        "$4::timestamptz ORDER BY id DESC LIMIT 1",
        project, model, alias, format_time(time));
    return rows.empty() ? std::nullopt : number_or_nothing(rows[0][0]);
  });
}

std::vector<AliasChange> ModelStore::history(const std::string& project, const std::string& model,
                                             const std::string& alias) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<AliasChange> found;
    for (const pqxx::row& row : work.exec_params(
             "SELECT alias, number, previous, actor, reason, " + utc_text("moved_at") +
                 " FROM alias_history WHERE project_id = $1 AND model = $2 AND ($3 = '' OR alias = $3) ORDER BY id",
             project, model, alias)) {
      found.push_back({row[0].c_str(), number_or_nothing(row[1]), number_or_nothing(row[2]), row[3].c_str(),
                       row[4].c_str(), parse_time(row[5].c_str())});
    }
    return found;
  });
}

}  // namespace platform
