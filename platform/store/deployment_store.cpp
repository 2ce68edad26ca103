#include "platform/store/deployment_store.h"

#include "platform/base/json.h"
#include "platform/store/transaction.h"

namespace platform {
namespace {

// Times leave the database as RFC 3339 text, so that the session's time zone does not matter.
#define ANNEAL_TIME(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

constexpr const char* kDeployment =
    "SELECT d.id, d.project_id, d.number, d.model, d.model_version, d.adapter_digest, d.base_digest, d.selector, "
    "d.waves, d.soak_seconds, d.failure_threshold, "
    "d.automatic_rollback, d.state, d.reason, d.targets, d.created_by, " ANNEAL_TIME(
        "d.created_at") " AS created, d.undoes FROM deployments d ";
constexpr const char* kAgent =
    "SELECT project_id, name, labels, program_version, model, model_version, adapter_digest, " ANNEAL_TIME(
        "registered_at") " AS registered, " ANNEAL_TIME("last_seen") " AS seen FROM agents ";
constexpr const char* kMember = "SELECT agent, wave, progress, state, reason, attempts, " ANNEAL_TIME(
    "updated_at") " AS updated FROM deployment_agents ";

std::string text(const pqxx::row& row, const char* column) {
  return row[column].is_null() ? std::string() : std::string(row[column].c_str());
}

Deployment deployment_from(const pqxx::row& row) {
  Deployment deployment;
  deployment.id = DeploymentId(text(row, "id"));
  deployment.project = text(row, "project_id");
  deployment.number = row["number"].as<std::int64_t>();
  deployment.model = text(row, "model");
  deployment.model_version = text(row, "model_version");
  deployment.adapter_digest = text(row, "adapter_digest");
  deployment.base_digest = text(row, "base_digest");
  deployment.selector = text(row, "selector");
  deployment.waves.clear();
  const json::value waves = parse_json(text(row, "waves"), "waves");
  for (const json::value& wave : waves.as_array()) deployment.waves.push_back(wave.to_number<double>());
  deployment.soak = std::chrono::seconds(row["soak_seconds"].as<std::int64_t>());
  deployment.failure_threshold = row["failure_threshold"].as<double>();
  deployment.automatic_rollback = row["automatic_rollback"].as<bool>();
  deployment.state = deployment_state_from(text(row, "state"));
  deployment.reason = text(row, "reason");
  deployment.targets = text(row, "targets");
  deployment.created_by = text(row, "created_by");
  deployment.created_at = parse_time(text(row, "created"));
  if (!row["undoes"].is_null()) deployment.undoes = DeploymentId(text(row, "undoes"));
  return deployment;
}

DeploymentAgent member_from(const pqxx::row& row) {
  DeploymentAgent member;
  member.agent = text(row, "agent");
  member.wave = row["wave"].as<std::int64_t>();
  member.progress = agent_progress_from(text(row, "progress"));
  member.state = text(row, "state");
  member.reason = text(row, "reason");
  member.attempts = row["attempts"].as<std::int64_t>();
  member.updated_at = parse_time(text(row, "updated"));
  return member;
}

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
  return agent;
}

template <class From>
auto all(const pqxx::result& rows, From&& from) {
  std::vector<decltype(from(rows[0]))> list;
  for (const auto& row : rows) list.push_back(from(row));
  return list;
}

template <class From>
auto first(const pqxx::result& rows, From&& from) -> std::optional<decltype(from(rows[0]))> {
  if (rows.empty()) return std::nullopt;
  return from(rows[0]);
}

void add_event(pqxx::work& work, const std::string& id, const std::string& actor, const std::string& what,
               const std::string& detail) {
  work.exec_params("INSERT INTO deployment_events (deployment_id, actor, what, detail) VALUES ($1, $2, $3, $4)", id,
                   actor, what, detail);
}

bool add_member(pqxx::work& work, const std::string& id, const DeploymentAgent& agent) {
  return work.exec_params(
                 "INSERT INTO deployment_agents (deployment_id, agent, wave) VALUES ($1, $2, $3) ON CONFLICT DO "
                 "NOTHING",
                 id, agent.agent, agent.wave)
             .affected_rows() > 0;
}

void insert_deployment(pqxx::work& work, const Deployment& deployment) {
  json::array waves;
  for (const double wave : deployment.waves) waves.push_back(wave);
  const std::string undoes = deployment.undoes ? deployment.undoes->str() : std::string();
  work.exec_params(
      "INSERT INTO deployments (id, project_id, number, model, model_version, adapter_digest, base_digest, selector, "
      "waves, soak_seconds, failure_threshold, "
      "automatic_rollback, state, reason, targets, created_by, created_at, undoes) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15, $16, $17::timestamptz, "
      "nullif($18, '')::uuid)",
      deployment.id.str(), deployment.project, deployment.number, deployment.model, deployment.model_version,
      deployment.adapter_digest, deployment.base_digest, deployment.selector, canonical_json(waves),
      static_cast<std::int64_t>(deployment.soak.count()), deployment.failure_threshold, deployment.automatic_rollback,
      std::string(to_string(deployment.state)), deployment.reason, deployment.targets, deployment.created_by,
      format_time(deployment.created_at), undoes);
}

}  // namespace

std::int64_t DeploymentStore::next_number() {
  return transact(database_, [](pqxx::work& work) {
    return work.exec1("SELECT nextval('deployment_numbers')")[0].as<std::int64_t>();
  });
}

std::int64_t DeploymentStore::next_timestamp_version() {
  return transact(database_, [](pqxx::work& work) {
    return work.exec1("SELECT nextval('timestamp_versions')")[0].as<std::int64_t>();
  });
}

void DeploymentStore::create(const Deployment& deployment, const std::vector<DeploymentAgent>& agents) {
  transact(database_, [&](pqxx::work& work) {
    const auto older = work.exec_params(
        "UPDATE deployments SET state = 'superseded', reason = $1 WHERE project_id = $2 AND model = $3 AND selector = "
        "$4 AND number < $5 "
        "AND state IN ('running', 'paused') RETURNING id",
        "deployment " + std::to_string(deployment.number) + " took over", deployment.project, deployment.model,
        deployment.selector, deployment.number);
    for (const auto& row : older)
      add_event(work, text(row, "id"), deployment.created_by, "superseded", deployment.id.str());
    insert_deployment(work, deployment);
    for (const DeploymentAgent& agent : agents) {
      work.exec_params(
          "DELETE FROM deployment_agents m USING deployments d WHERE d.id = m.deployment_id AND d.project_id = $1 AND "
          "m.agent = $2 "
          "AND m.progress IN ('waiting', 'offered') AND d.number < $3",
          deployment.project, agent.agent, deployment.number);
      add_member(work, deployment.id.str(), agent);
    }
    add_event(work, deployment.id.str(), deployment.created_by, "created", std::to_string(agents.size()) + " agents");
  });
}

std::optional<Deployment> DeploymentStore::find(const std::string& project, const std::string& id) {
  if (!is_uuid(id)) return std::nullopt;
  return transact(database_, [&](pqxx::work& work) {
    return first(work.exec_params(std::string(kDeployment) + "WHERE d.project_id = $1 AND d.id = $2", project, id),
                 deployment_from);
  });
}

std::optional<Deployment> DeploymentStore::find_by_id(const DeploymentId& id) {
  return transact(database_, [&](pqxx::work& work) {
    return first(work.exec_params(std::string(kDeployment) + "WHERE d.id = $1", id.str()), deployment_from);
  });
}

std::vector<Deployment> DeploymentStore::list(const std::string& project, std::int64_t before, std::int64_t limit) {
  return transact(database_, [&](pqxx::work& work) {
    return all(
        work.exec_params(std::string(kDeployment) +
                             "WHERE d.project_id = $1 AND ($2 = 0 OR d.number < $2) ORDER BY d.number DESC LIMIT $3",
                         project, before, limit),
        deployment_from);
  });
}

std::vector<Deployment> DeploymentStore::running() {
  return transact(database_, [](pqxx::work& work) {
    return all(work.exec(std::string(kDeployment) + "WHERE d.state = 'running' ORDER BY d.number"), deployment_from);
  });
}

std::vector<Deployment> DeploymentStore::open_or_finished(const std::string& project) {
  return transact(database_, [&](pqxx::work& work) {
    return all(work.exec_params(std::string(kDeployment) +
                                    "WHERE d.id IN (SELECT DISTINCT ON (model, selector) id FROM deployments WHERE "
                                    "project_id = $1 AND state IN ('running', 'finished') "
                                    "ORDER BY model, selector, number DESC) ORDER BY d.number",
                                project),
               deployment_from);
  });
}

std::optional<Deployment> DeploymentStore::previous(const Deployment& deployment) {
  return transact(database_, [&](pqxx::work& work) {
    return first(
        work.exec_params(std::string(kDeployment) + "WHERE d.project_id = $1 AND d.model = $2 AND d.selector = $3 AND "
                                                    "d.number < $4 AND d.state = 'finished' "
                                                    "AND d.adapter_digest <> $5 ORDER BY d.number DESC LIMIT 1",
                         deployment.project, deployment.model, deployment.selector, deployment.number,
                         deployment.adapter_digest),
        deployment_from);
  });
}

std::vector<DeploymentAgent> DeploymentStore::agents_of(const DeploymentId& id) {
  return transact(database_, [&](pqxx::work& work) {
    return all(work.exec_params(std::string(kMember) + "WHERE deployment_id = $1 ORDER BY wave, agent", id.str()),
               member_from);
  });
}

std::vector<DeploymentEvent> DeploymentStore::history(const DeploymentId& id) {
  return transact(database_, [&](pqxx::work& work) {
    return all(work.exec_params(
                   "SELECT " ANNEAL_TIME(
                       "at") " AS at, actor, what, detail FROM deployment_events WHERE deployment_id = $1 ORDER BY id",
                   id.str()),
               [](const pqxx::row& row) {
                 return DeploymentEvent{parse_time(text(row, "at")), text(row, "actor"), text(row, "what"),
                                        text(row, "detail")};
               });
  });
}

bool DeploymentStore::move(const DeploymentId& id, DeploymentState from, DeploymentState to, const std::string& actor,
                           const std::string& reason) {
  return transact(database_, [&](pqxx::work& work) {
    const auto moved = work.exec_params("UPDATE deployments SET state = $1, reason = $2 WHERE id = $3 AND state = $4",
                                        std::string(to_string(to)), reason, id.str(), std::string(to_string(from)));
    if (moved.affected_rows() == 0) return false;
    add_event(work, id.str(), actor, std::string(to_string(to)), reason);
    return true;
  });
}

void DeploymentStore::offer(const DeploymentId& id, const std::vector<std::string>& agents) {
  transact(database_, [&](pqxx::work& work) {
    for (const std::string& agent : agents) {
      const auto offered = work.exec_params(
          "UPDATE deployment_agents SET progress = 'offered', attempts = attempts + 1, updated_at = now() WHERE "
          "deployment_id = $1 AND agent = $2 AND progress = 'waiting'",
          id.str(), agent);
      if (offered.affected_rows() > 0) add_event(work, id.str(), "rollout", "offered", agent);
    }
  });
}

void DeploymentStore::forgive_failures(const DeploymentId& id) {
  transact(database_, [&](pqxx::work& work) {
    work.exec_params(
        "UPDATE deployment_agents SET progress = 'waiting', attempts = 0, updated_at = now() WHERE deployment_id = $1 "
        "AND progress = 'failed'",
        id.str());
  });
}

bool DeploymentStore::add_agent(const DeploymentId& id, const DeploymentAgent& agent) {
  return transact(database_, [&](pqxx::work& work) {
    if (!add_member(work, id.str(), agent)) return false;
    work.exec_params("UPDATE deployments SET state = 'running' WHERE id = $1 AND state = 'finished'", id.str());
    add_event(work, id.str(), "agent:" + agent.agent, "joined", "");
    return true;
  });
}

bool DeploymentStore::report(const DeploymentId& id, const std::string& agent, const std::string& key,
                             const std::function<void(DeploymentAgent&)>& apply) {
  return transact(database_, [&](pqxx::work& work) {
    const auto row =
        work.exec_params(std::string(kMember) + "WHERE deployment_id = $1 AND agent = $2 FOR UPDATE", id.str(), agent);
    if (row.empty()) return false;
    const auto fresh =
        work.exec_params("INSERT INTO deployment_reports (deployment_id, key) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                         id.str(), agent + "/" + key);
    if (fresh.affected_rows() == 0) return false;
    DeploymentAgent member = member_from(row[0]);
    const AgentProgress before = member.progress;
    apply(member);
    work.exec_params(
        "UPDATE deployment_agents SET progress = $3, state = $4, reason = $5, updated_at = now() WHERE deployment_id = "
        "$1 AND agent = $2",
        id.str(), agent, std::string(to_string(member.progress)), member.state, member.reason);
    if (member.progress != before)
      add_event(work, id.str(), "agent:" + agent, std::string(to_string(member.progress)), member.reason);
    return true;
  });
}

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

std::optional<Agent> DeploymentStore::find_agent(const std::string& project, const std::string& name) {
  return transact(database_, [&](pqxx::work& work) {
    return first(work.exec_params(std::string(kAgent) + "WHERE project_id = $1 AND name = $2", project, name),
                 agent_from);
  });
}

std::vector<Agent> DeploymentStore::agents(const std::string& project) {
  return transact(database_, [&](pqxx::work& work) {
    return all(work.exec_params(std::string(kAgent) + "WHERE project_id = $1 ORDER BY name", project), agent_from);
  });
}

std::optional<Deployment> DeploymentStore::offered_to(const std::string& project, const std::string& agent) {
  return transact(database_, [&](pqxx::work& work) {
    return first(
        work.exec_params(std::string(kDeployment) + "JOIN deployment_agents m ON m.deployment_id = d.id WHERE "
                                                    "d.project_id = $1 AND m.agent = $2 AND m.progress = 'offered' "
                                                    "AND d.state = 'running' ORDER BY d.number DESC LIMIT 1",
                         project, agent),
        deployment_from);
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
    return first(work.exec_params("SELECT project_id, id, agent, model, model_version, adapter_digest, " ANNEAL_TIME(
                                      "at") " AS at, fields, answer, target "
                                            "FROM predictions WHERE project_id = $1 AND id = $2",
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

}  // namespace platform
