// Deployments, the agents they are for, and what became of them. SQL of these tables lives here only. Thread-safe: every
// call takes a connection of its own; a change and its history line are one transaction.
#pragma once

#include <cstdint>
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

  /// Stores the deployment with its agents; older running or paused deployments of the same model and selector become
  /// superseded in the same transaction.
  void create(const Deployment& deployment, const std::vector<DeploymentAgent>& agents);
  std::optional<Deployment> find(const std::string& project, const std::string& id);
  /// Newest first, at most `limit`, numbers below `before` (0 = from the newest).
  std::vector<Deployment> list(const std::string& project, std::int64_t before, std::int64_t limit);
  std::vector<Deployment> running(const std::string& project);
  /// The finished deployment of this model and selector before `number`, to go back to.
  std::optional<Deployment> previous(const Deployment& deployment);
  std::vector<DeploymentAgent> agents_of(const DeploymentId& id);
  std::vector<DeploymentEvent> history(const DeploymentId& id);
  /// Moves `from` -> `to`; false if the deployment is no longer in `from`.
  bool move(const DeploymentId& id, DeploymentState from, DeploymentState to, const std::string& actor, const std::string& reason);
  /// Marks waiting agents as offered (and counts the attempt); agents in another progress stay as they are.
  void offer(const DeploymentId& id, const std::vector<std::string>& agents);
  /// Adds an agent that appeared after the deployment was made. Nothing happens if it is there.
  void add_agent(const DeploymentId& id, const DeploymentAgent& agent);
  /// What the agent reported. A report with a key that was seen already changes nothing and returns false.
  bool report(const DeploymentId& id, const DeploymentAgent& agent, const std::string& key);

  /// Registers or refreshes an agent; labels are replaced.
  void register_agent(const Agent& agent);
  void seen(const std::string& project, const std::string& name);
  std::optional<Agent> find_agent(const std::string& project, const std::string& name);
  std::vector<Agent> agents(const std::string& project);
  /// The newest deployment that is offered to this agent and not superseded, if any.
  std::optional<Deployment> offered_to(const std::string& project, const std::string& agent);

  /// Stores what is not there yet by id; returns how many were new.
  std::int64_t add_predictions(const std::vector<PredictionRecord>& predictions);
  std::optional<PredictionRecord> find_prediction(const std::string& project, const std::string& id);

 private:
  Database& database_;
};

}  // namespace platform
