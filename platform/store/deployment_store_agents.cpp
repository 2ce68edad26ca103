// The agents' half of DeploymentStore: who they are, what they answered, and what really happened.
#include "platform/base/json.h"
#include "platform/store/deployment_store.h"
#include "platform/store/rows.h"
#include "platform/store/time_column.h"
#include "platform/store/transaction.h"

namespace platform {
namespace {

const std::string kAgent = "SELECT project_id, name, labels, program_version, model, model_version, adapter_digest, " +
                           utc_text("registered_at") + " AS registered, " + utc_text("last_seen") + " AS seen, " +
                           "notice, " + utc_text("notice_at") + " AS noticed FROM agents ";

Agent agent_from(const pqxx::row& row) {
  Agent agent;
  agent.project = text(row, "project_id");
  agent.name = text(row, "name");
  const json::value labels = parse_json(text(row, "labels"), "labels");
  for (const auto& label : labels.as_object())
    agent.labels[std::string(label.key())] = std::string(label.value().as_string());
  agent.program_version = text(row, "program_version");
  agent.model = text(row, "model");
  agent.model_version = text(row, "model_version");
  agent.adapter_digest = text(row, "adapter_digest");
  agent.registered_at = parse_time(text(row, "registered"));
  agent.last_seen = parse_time(text(row, "seen"));
  agent.notice = text(row, "notice");
  agent.notice_at = time_or_nothing(row["noticed"]);
  return agent;
}

}  // namespace

void DeploymentStore::register_agent(const Agent& agent) {
  json::object labels;
  for (const auto& [key, value] : agent.labels) labels[key] = value;
  transact(database_, [&](pqxx::work& work) {
    work.exec_params(
        "INSERT INTO agents (project_id, name, labels, program_version, model, model_version, adapter_digest) VALUES "
        "($1, $2, $3::jsonb, $4, $5, $6, $7) "
        "ON CONFLICT (project_id, name) DO UPDATE SET labels = $3::jsonb, program_version = $4, model = $5, "
        "model_version = $6, adapter_digest = $7, last_seen = now()",
        agent.project, agent.name, canonical_json(labels), agent.program_version, agent.model, agent.model_version,
        agent.adapter_digest);
  });
}

void DeploymentStore::seen(const std::string& project, const std::string& name) {
  transact(database_, [&](pqxx::work& work) {
    work.exec_params("UPDATE agents SET last_seen = now() WHERE project_id = $1 AND name = $2", project, name);
  });
}

void DeploymentStore::notice(const std::string& project, const std::string& name, const std::string& said, Time at) {
  transact(database_, [&](pqxx::work& work) {
    work.exec_params("UPDATE agents SET notice = $3, notice_at = $4::timestamptz WHERE project_id = $1 AND name = $2",
                     project, name, said, format_time(at));
  });
}

std::optional<Agent> DeploymentStore::find_agent(const std::string& project, const std::string& name) {
  return transact(database_, [&](pqxx::work& work) {
    return first(work.exec_params(kAgent + "WHERE project_id = $1 AND name = $2", project, name), agent_from);
  });
}

std::vector<Agent> DeploymentStore::agents(const std::string& project) {
  return transact(database_, [&](pqxx::work& work) {
    return all(work.exec_params(kAgent + "WHERE project_id = $1 ORDER BY name", project), agent_from);
  });
}

std::int64_t DeploymentStore::add_predictions(const std::vector<PredictionRecord>& predictions) {
  return transact(database_, [&](pqxx::work& work) {
    std::int64_t fresh = 0;
    for (const PredictionRecord& prediction : predictions)
      fresh += static_cast<std::int64_t>(
          work.exec_params(
                  "INSERT INTO predictions (project_id, id, agent, model, model_version, adapter_digest, at, fields, "
                  "answer, target) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7::timestamptz, $8::jsonb, $9::jsonb, $10) ON CONFLICT DO NOTHING",
                  prediction.project, prediction.id, prediction.agent, prediction.model, prediction.model_version,
                  prediction.adapter_digest, format_time(prediction.at), prediction.fields, prediction.answer,
                  prediction.target)
              .affected_rows());
    return fresh;
  });
}

std::optional<PredictionRecord> DeploymentStore::find_prediction(const std::string& project, const std::string& id) {
  if (!is_uuid(id)) return std::nullopt;
  return transact(database_, [&](pqxx::work& work) {
    return first(
        work.exec_params("SELECT project_id, id, agent, model, model_version, adapter_digest, " + utc_text("at") +
                             " AS at, fields, answer, target FROM predictions WHERE project_id = $1 AND id = $2",
                         project, id),
        [](const pqxx::row& row) {
          return PredictionRecord{text(row, "id"),
                                  text(row, "project_id"),
                                  text(row, "agent"),
                                  text(row, "model"),
                                  text(row, "model_version"),
                                  text(row, "adapter_digest"),
                                  parse_time(text(row, "at")),
                                  text(row, "fields"),
                                  text(row, "answer"),
                                  text(row, "target")};
        });
  });
}

void DeploymentStore::keep_unmatched(const UnmatchedFeedback& feedback) {
  transact(database_, [&](pqxx::work& work) {
    work.exec_params(
        "INSERT INTO unmatched_feedback (project_id, prediction_id, key, agent, body) VALUES ($1, $2, $3, $4, "
        "$5::jsonb) ON CONFLICT DO NOTHING",
        feedback.project, feedback.prediction, feedback.key, feedback.agent, feedback.body);
  });
}

std::vector<UnmatchedFeedback> DeploymentStore::unmatched(const std::string& project,
                                                          const std::vector<std::string>& predictions) {
  json::array ids;
  for (const std::string& id : predictions) ids.emplace_back(id);
  return transact(database_, [&](pqxx::work& work) {
    return all(work.exec_params("SELECT project_id, prediction_id, key, agent, body FROM unmatched_feedback WHERE "
                                "project_id = $1 AND prediction_id IN (SELECT jsonb_array_elements_text($2::jsonb)::"
                                "uuid) ORDER BY received_at",
                                project, canonical_json(ids)),
               [](const pqxx::row& row) {
                 return UnmatchedFeedback{text(row, "project_id"), text(row, "prediction_id"), text(row, "key"),
                                          text(row, "agent"), text(row, "body")};
               });
  });
}

std::map<std::string, std::int64_t> DeploymentStore::unmatched_counts(const std::string& project) {
  return transact(database_, [&](pqxx::work& work) {
    std::map<std::string, std::int64_t> counts;
    for (const pqxx::row& row : work.exec_params(
             "SELECT agent, count(*) FROM unmatched_feedback WHERE project_id = $1 GROUP BY agent", project))
      counts[row[0].as<std::string>()] = row[1].as<std::int64_t>();
    return counts;
  });
}

void DeploymentStore::drop_unmatched(const UnmatchedFeedback& feedback) {
  transact(database_, [&](pqxx::work& work) {
    work.exec_params("DELETE FROM unmatched_feedback WHERE project_id = $1 AND prediction_id = $2 AND key = $3",
                     feedback.project, feedback.prediction, feedback.key);
  });
}

}  // namespace platform
