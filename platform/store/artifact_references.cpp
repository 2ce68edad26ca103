#include "platform/store/artifact_references.h"

#include "platform/store/transaction.h"

namespace platform {

bool ArtifactReferences::names(const std::string& project, const std::string& digest) {
  return transact(database_, [&](pqxx::work& work) {
    return work
        .exec_params1(
            "SELECT EXISTS (SELECT 1 FROM dataset_versions WHERE project_id = $1 AND blob = $2) "
            "OR EXISTS (SELECT 1 FROM model_versions WHERE project_id = $1 AND adapter_blob = $2) "
            "OR EXISTS (SELECT 1 FROM run_steps s JOIN runs r ON r.id = s.run_id "
            "           WHERE r.project_id = $1 AND strpos(s.outputs::text, $2) > 0) "
            "OR EXISTS (SELECT 1 FROM deployments WHERE project_id = $1 AND strpos(targets, $2) > 0)",
            project, digest)[0]
        .as<bool>();
  });
}

std::vector<std::string> ArtifactReferences::folders(const std::string& project) {
  return transact(database_, [&](pqxx::work& work) {
    std::vector<std::string> found;
    for (const pqxx::row& row : work.exec_params(
             "SELECT blob FROM (SELECT adapter_blob AS blob, created_at AS at FROM model_versions WHERE project_id = "
             "$1 "
             "UNION ALL SELECT s.outputs ->> 'adapter', r.created_at FROM run_steps s JOIN runs r ON r.id = s.run_id "
             "WHERE r.project_id = $1 AND s.outputs ->> 'adapter' LIKE 'sha256:%') f GROUP BY blob ORDER BY max(at) "
             "DESC",
             project))
      found.emplace_back(row[0].c_str());
    return found;
  });
}

}  // namespace platform
