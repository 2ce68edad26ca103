// Deployments, the agents they are for, and what became of them. SQL of these tables lives here only. Thread-safe:
// every call takes a connection of its own; a change and its history line are one transaction.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/model/deployment.h"

namespace platform {

class Database;

class DeploymentStore {
 public:
  explicit DeploymentStore(Database& database) : database_(database) {}

  /// The next bundle version, and the next timestamp version. Both rise for ever.
  std::int64_t next_number();
  std::int64_t next_timestamp_version();

  /// Stores the deployment with its agents, in one transaction with what follows from it: older running or paused
  /// deployments of the same model and selector become superseded, and these agents leave every older rollout that they
  /// have not finished (an agent answers with one model; the newest wish counts).
  void create(const Deployment& deployment, const std::vector<DeploymentAgent>& agents);
  std::optional<Deployment> find(const std::string& project, const std::string& id);
  std::optional<Deployment> find_by_id(const DeploymentId& id);
  /// Newest first, at most `limit`, numbers below `before` (0 = from the newest).
  std::vector<Deployment> list(const std::string& project, std::int64_t before, std::int64_t limit);
  /// Of all projects.
  std::vector<Deployment> running();
  /// Running or finished ones: those that a new agent joins.
  std::vector<Deployment> open_or_finished(const std::string& project);
  /// The finished deployment of this model and selector before `number`, to go back to.
  std::optional<Deployment> previous(const Deployment& deployment);
  std::vector<DeploymentAgent> agents_of(const DeploymentId& id);
  std::vector<DeploymentEvent> history(const DeploymentId& id);
  /// Moves `from` -> `to`; false if the deployment is no longer in `from`.
  bool move(const DeploymentId& id, DeploymentState from, DeploymentState to, const std::string& actor,
            const std::string& reason);
  /// Marks waiting agents as offered (and counts the attempt); agents in another progress stay as they are.
  void offer(const DeploymentId& id, const std::vector<std::string>& agents);
  /// Agents that failed count as never offered; after a person resumed the rollout.
  void forgive_failures(const DeploymentId& id);
  /// Adds an agent that appeared after the deployment was made and makes a finished deployment run again. False if it
  /// is there.
  bool add_agent(const DeploymentId& id, const DeploymentAgent& agent);
  /// Lets `apply` change the agent's row, once per key: a report that was seen already changes nothing and returns
  /// false, as does one of an agent that is not part of the deployment.
  bool report(const DeploymentId& id, const std::string& agent, const std::string& key,
              const std::function<void(DeploymentAgent&)>& apply);

  /// Registers or refreshes an agent; labels are replaced.
  void register_agent(const Agent& agent);
  void seen(const std::string& project, const std::string& name);
  std::optional<Agent> find_agent(const std::string& project, const std::string& name);
  std::vector<Agent> agents(const std::string& project);
  /// The newest running deployment that is offered to this agent, if any.
  std::optional<Deployment> offered_to(const std::string& project, const std::string& agent);

  /// Stores what is not there yet by id; returns how many were new.
  std::int64_t add_predictions(const std::vector<PredictionRecord>& predictions);
  std::optional<PredictionRecord> find_prediction(const std::string& project, const std::string& id);

 private:
  Database& database_;
};

}  // namespace platform
