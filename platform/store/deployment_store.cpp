#include "platform/store/deployment_store.h"

#include "platform/base/json.h"
#include "platform/store/rows.h"
#include "platform/store/transaction.h"

namespace platform {
namespace {

// Times leave the database as RFC 3339 text, so that the session's time zone does not matter.
#define ANNEAL_TIME(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

constexpr const char* kDeployment =
    "SELECT d.id, d.project_id, d.number, d.model, d.model_version, d.adapter_digest, d.base_digest, d.selector, "
    "d.waves, d.soak_seconds, d.failure_threshold, "
    "d.automatic_rollback, d.state, d.reason, d.targets, d.created_by, " ANNEAL_TIME(
        "d.created_at") " AS created, d.undoes, d.moves_production FROM deployments d ";
constexpr const char* kMember = "SELECT agent, wave, progress, state, reason, attempts, " ANNEAL_TIME(
    "updated_at") " AS updated FROM deployment_agents ";

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
  deployment.moves_production = row["moves_production"].as<bool>();
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

void add_event(pqxx::work& work, const std::string& id, const std::string& actor, const std::string& what,
               const std::string& detail) {
  work.exec_params("INSERT INTO deployment_events (deployment_id, actor, what, detail) VALUES ($1, $2, $3, $4)", id,
                   actor, what, detail);
}

bool add_member(pqxx::work& work, const std::string& id, const DeploymentAgent& agent) {
  return work.exec_params(
                 "INSERT INTO deployment_agents (deployment_id, agent, wave) SELECT d.id, $2, $3 FROM deployments d "
                 "WHERE d.id = $1 AND NOT EXISTS (SELECT 1 FROM deployment_agents m JOIN deployments newer "
                 "ON newer.id = m.deployment_id WHERE m.agent = $2 AND newer.project_id = d.project_id "
                 "AND newer.number > d.number) ON CONFLICT DO NOTHING",
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
      "automatic_rollback, state, reason, targets, created_by, created_at, undoes, moves_production) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15, $16, $17::timestamptz, "
      "nullif($18, '')::uuid, $19)",
      deployment.id.str(), deployment.project, deployment.number, deployment.model, deployment.model_version,
      deployment.adapter_digest, deployment.base_digest, deployment.selector, canonical_json(waves),
      static_cast<std::int64_t>(deployment.soak.count()), deployment.failure_threshold, deployment.automatic_rollback,
      std::string(to_string(deployment.state)), deployment.reason, deployment.targets, deployment.created_by,
      format_time(deployment.created_at), undoes, deployment.moves_production);
}

void add_events(pqxx::work& work, const pqxx::result& deployments, const std::string& actor, const std::string& what,
                const std::string& detail) {
  for (const auto& row : deployments) add_event(work, text(row, "id"), actor, what, detail);
}

// Older rollouts of the same model and selector end, but not those that undo the same deployment for other agents.
void supersede_older(pqxx::work& work, const Deployment& deployment) {
  const std::string undoes = deployment.undoes ? deployment.undoes->str() : std::string();
  add_events(work,
             work.exec_params("UPDATE deployments SET state = 'superseded', reason = $1 WHERE project_id = $2 AND "
                              "model = $3 AND selector = $4 AND number < $5 AND state IN ('running', 'paused') AND "
                              "($6 = '' OR undoes IS DISTINCT FROM nullif($6, '')::uuid) RETURNING id",
                              "deployment " + std::to_string(deployment.number) + " took over", deployment.project,
                              deployment.model, deployment.selector, deployment.number, undoes),
             deployment.created_by, "superseded", deployment.id.str());
}

// The agents leave what they have not finished of older rollouts.
void take_agents(pqxx::work& work, const Deployment& deployment, const std::vector<DeploymentAgent>& agents) {
  for (const DeploymentAgent& agent : agents)
    if (add_member(work, deployment.id.str(), agent))
      work.exec_params(
          "UPDATE deployment_agents m SET progress = 'superseded', updated_at = now() FROM deployments d WHERE d.id = "
          "m.deployment_id AND d.project_id = $1 AND m.agent = $2 AND d.number < $3 AND (m.progress IN ('waiting', "
          "'offered') OR (m.progress = 'failed' AND d.state IN ('running', 'paused')))",
          deployment.project, agent.agent, deployment.number);
}

void supersede_emptied(pqxx::work& work, const Deployment& deployment) {
  add_events(
      work,
      work.exec_params(
          "UPDATE deployments d SET state = 'superseded', reason = $1 WHERE d.project_id = $2 AND d.number < $3 AND "
          "d.state IN ('running', 'paused') AND EXISTS (SELECT 1 FROM deployment_agents m WHERE m.deployment_id = d.id "
          "AND m.progress = 'superseded') AND NOT EXISTS (SELECT 1 FROM deployment_agents m WHERE m.deployment_id = "
          "d.id AND (m.progress IN ('waiting', 'offered') OR (m.progress = 'failed' AND d.state = 'paused'))) "
          "RETURNING d.id",
          "deployment " + std::to_string(deployment.number) + " took its last agents", deployment.project,
          deployment.number),
      deployment.created_by, "superseded", deployment.id.str());
}

void create_in(pqxx::work& work, const Deployment& deployment, const std::vector<DeploymentAgent>& agents) {
  supersede_older(work, deployment);
  insert_deployment(work, deployment);
  take_agents(work, deployment, agents);
  supersede_emptied(work, deployment);
  add_event(work, deployment.id.str(), deployment.created_by, "created", std::to_string(agents.size()) + " agents");
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
  transact(database_, [&](pqxx::work& work) { create_in(work, deployment, agents); });
}

bool DeploymentStore::roll_back(const DeploymentId& id, const std::string& actor, const std::string& reason,
                                const std::vector<NewDeployment>& backs) {
  return transact(database_, [&](pqxx::work& work) {
    const auto moved = work.exec_params(
        "UPDATE deployments SET state = 'rolled_back', reason = $1 WHERE id = $2 AND state IN ('running', 'paused', "
        "'finished')",
        reason, id.str());
    if (moved.affected_rows() == 0) return false;
    add_event(work, id.str(), actor, "rolled_back", reason);
    for (const NewDeployment& back : backs) create_in(work, back.deployment, back.agents);
    return true;
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

std::vector<Deployment> DeploymentStore::unsettled() {
  return transact(database_, [](pqxx::work& work) {
    return all(work.exec(std::string(kDeployment) +
                         "WHERE d.state = 'running' OR (d.state = 'finished' AND EXISTS (SELECT 1 FROM "
                         "deployment_agents m WHERE m.deployment_id = d.id AND m.progress = 'waiting')) ORDER BY "
                         "d.number"),
               deployment_from);
  });
}

std::vector<Deployment> DeploymentStore::joinable(const std::string& project) {
  return transact(database_, [&](pqxx::work& work) {
    return all(work.exec_params(std::string(kDeployment) +
                                    "WHERE d.id IN (SELECT DISTINCT ON (selector) id FROM deployments WHERE project_id "
                                    "= $1 AND state IN ('running', 'finished') ORDER BY selector, number DESC) ORDER "
                                    "BY d.number DESC",
                                project),
               deployment_from);
  });
}

std::vector<EarlierDeployment> DeploymentStore::earlier(const Deployment& deployment) {
  return transact(database_, [&](pqxx::work& work) {
    return all(
        work.exec_params(
            "SELECT m.agent, (SELECT d.id FROM deployment_agents had JOIN deployments d ON d.id = had.deployment_id "
            "WHERE had.agent = m.agent AND had.progress = 'committed' AND d.project_id = $2 AND d.number < $3 AND "
            "d.adapter_digest <> $4 AND d.state NOT IN ('rolled_back', 'failed') ORDER BY d.number DESC LIMIT 1) AS "
            "earlier "
            "FROM deployment_agents m WHERE m.deployment_id = $1 AND m.progress <> 'superseded' AND NOT EXISTS "
            "(SELECT 1 FROM deployment_agents has JOIN deployments d ON d.id = has.deployment_id WHERE has.agent = "
            "m.agent AND d.project_id = $2 AND d.number > $3) ORDER BY m.agent",
            deployment.id.str(), deployment.project, deployment.number, deployment.adapter_digest),
        [](const pqxx::row& row) {
          EarlierDeployment found{text(row, "agent"), std::nullopt};
          if (!row["earlier"].is_null()) found.earlier = DeploymentId(text(row, "earlier"));
          return found;
        });
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
    const auto moved = work.exec_params(
        "UPDATE deployments SET state = $1, reason = $2, moves_production = "
        "moves_production AND $1 <> 'finished' WHERE id = $3 AND state = $4",
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
    add_event(work, id.str(), "agent:" + agent.agent, "joined", "");
    return true;
  });
}

std::optional<Deployment> DeploymentStore::lost_by(const std::string& project, const std::string& agent,
                                                   const std::string& adapter_digest) {
  return transact(database_, [&](pqxx::work& work) {
    return first(
        work.exec_params(
            std::string(kDeployment) +
                "JOIN deployment_agents m ON m.deployment_id = d.id WHERE d.project_id = $1 AND m.agent = $2 AND "
                "d.adapter_digest <> $3 AND ((m.progress = 'committed' AND d.state IN ('running', 'paused', "
                "'finished')) OR ($3 = '' AND m.progress = 'failed' AND d.state = 'finished')) AND NOT EXISTS (SELECT "
                "1 "
                "FROM deployment_agents n JOIN deployments newer ON newer.id = n.deployment_id WHERE n.agent = $2 AND "
                "newer.project_id = $1 AND newer.number > d.number AND (n.progress IN ('waiting', 'offered', "
                "'committed') OR (n.progress = 'failed' AND newer.state = 'finished'))) AND ($3 = '' OR NOT EXISTS "
                "(SELECT 1 FROM deployments c WHERE c.project_id = $1 AND c.adapter_digest = $3 AND c.number > "
                "d.number)) ORDER BY d.number DESC LIMIT 1",
            project, agent, adapter_digest),
        deployment_from);
  });
}

bool DeploymentStore::install_again(const DeploymentId& id, const std::string& agent, const std::string& why) {
  return transact(database_, [&](pqxx::work& work) {
    const auto waits = work.exec_params(
        "UPDATE deployment_agents SET progress = 'waiting', attempts = 0, reason = $3, updated_at = now() WHERE "
        "deployment_id = $1 AND agent = $2 AND progress IN ('committed', 'failed')",
        id.str(), agent, why);
    if (waits.affected_rows() == 0) return false;
    add_event(work, id.str(), "agent:" + agent, "lost", why);
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

std::optional<Deployment> DeploymentStore::offered_to(const std::string& project, const std::string& agent) {
  return transact(database_, [&](pqxx::work& work) {
    return first(work.exec_params(std::string(kDeployment) +
                                      "JOIN deployment_agents m ON m.deployment_id = d.id WHERE "
                                      "d.project_id = $1 AND m.agent = $2 AND m.progress = 'offered' "
                                      "AND d.state IN ('running', 'paused', 'finished') ORDER BY d.number DESC "
                                      "LIMIT 1",
                                  project, agent),
                 deployment_from);
  });
}

}  // namespace platform
