// Deployments, the agents they are for, and what became of them. SQL of these tables lives here only. Thread-safe:
// every call takes a connection of its own; a change and its history line are one transaction.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/model/deployment.h"

namespace platform {

class Database;

/// A deployment and the agents it begins with.
struct NewDeployment {
  Deployment deployment;
  std::vector<DeploymentAgent> agents;
};

/// A member of a deployment, and the deployment that it had committed before.
struct EarlierDeployment {
  std::string agent;
  std::optional<DeploymentId> earlier;
};

class DeploymentStore {
 public:
  explicit DeploymentStore(Database& database) : database_(database) {}

  /// The next bundle version, and the next timestamp version. Both rise for ever.
  std::int64_t next_number();
  std::int64_t next_timestamp_version();

  /// Stores the deployment with its agents, in one transaction with what follows from it: older running or paused
  /// deployments of the same model and selector become superseded; these agents are superseded in every older rollout
  /// that they have not finished (an agent answers with one model; the newest wish counts); and a rollout that waits
  /// for nobody else after that is superseded too. An agent that has had a higher number is left out.
  void create(const Deployment& deployment, const std::vector<DeploymentAgent>& agents);
  /// Moves a running, paused or finished deployment to rolled back and stores what brings the earlier versions back,
  /// all in one transaction. False, and nothing is stored, if the deployment is in another state.
  bool roll_back(const DeploymentId& id, const std::string& actor, const std::string& reason,
                 const std::vector<NewDeployment>& backs);
  std::optional<Deployment> find(const std::string& project, const std::string& id);
  std::optional<Deployment> find_by_id(const DeploymentId& id);
  /// Newest first, at most `limit`, numbers below `before` (0 = from the newest).
  std::vector<Deployment> list(const std::string& project, std::int64_t before, std::int64_t limit);
  /// Running ones, and finished ones with an agent that waits; of all projects.
  std::vector<Deployment> unsettled();
  /// The newest running or finished deployment of each selector, newest first: one of those is for a new agent.
  std::vector<Deployment> joinable(const std::string& project);
  /// For each agent of the deployment that no newer deployment has: the newest one before it that the agent committed,
  /// with another adapter, unless that one was rolled back or failed since.
  std::vector<EarlierDeployment> earlier(const Deployment& deployment);
  std::vector<DeploymentAgent> agents_of(const DeploymentId& id);
  std::vector<DeploymentEvent> history(const DeploymentId& id);
  /// Moves `from` -> `to`; false if the deployment is no longer in `from`. A finished one moves production no more.
  bool move(const DeploymentId& id, DeploymentState from, DeploymentState to, const std::string& actor,
            const std::string& reason);
  /// Marks waiting agents as offered (and counts the attempt); agents in another progress stay as they are.
  void offer(const DeploymentId& id, const std::vector<std::string>& agents);
  /// Agents that failed count as never offered; after a person resumed the rollout.
  void forgive_failures(const DeploymentId& id);
  /// Adds an agent that appeared after the deployment was made. False if it is there, or has had a higher number.
  bool add_agent(const DeploymentId& id, const DeploymentAgent& agent);
  /// The deployment that an agent has lost, as after a change of its disk: the newest one that it has committed and
  /// that stands, where it answers with another adapter than that one's, or (empty) with nothing; then also one that
  /// has finished and that it had failed. Nothing while a newer one is on its way to the agent, and where it answers
  /// with what was deployed later: it has that by courier.
  std::optional<Deployment> lost_by(const std::string& project, const std::string& agent,
                                    const std::string& adapter_digest);
  /// The agent waits again, as if it had never had the deployment; `why` stands in the history. False if it is not
  /// through with it.
  bool install_again(const DeploymentId& id, const std::string& agent, const std::string& why);
  /// Lets `apply` change the agent's row, once per key: a report that was seen already changes nothing and returns
  /// false, as does one of an agent that is not part of the deployment.
  bool report(const DeploymentId& id, const std::string& agent, const std::string& key,
              const std::function<void(DeploymentAgent&)>& apply);

  /// Registers or refreshes an agent; labels are replaced.
  void register_agent(const Agent& agent);
  void seen(const std::string& project, const std::string& name);
  /// Notes what an agent has to say beside its updates. Nothing if the agent is not registered.
  void notice(const std::string& project, const std::string& name, const std::string& text, Time at);
  std::optional<Agent> find_agent(const std::string& project, const std::string& name);
  std::vector<Agent> agents(const std::string& project);
  /// The newest deployment that is offered to this agent, if any: running, finished (a latecomer), or paused after the
  /// offer was made, since what an agent has begun it may end.
  std::optional<Deployment> offered_to(const std::string& project, const std::string& agent);

  /// Stores what is not there yet by id; returns how many were new.
  std::int64_t add_predictions(const std::vector<PredictionRecord>& predictions);
  std::optional<PredictionRecord> find_prediction(const std::string& project, const std::string& id);
  /// Feedback whose prediction is not here: kept, once by prediction and key, until the prediction comes.
  void keep_unmatched(const UnmatchedFeedback& feedback);
  std::vector<UnmatchedFeedback> unmatched(const std::string& project, const std::vector<std::string>& predictions);
  /// How many feedbacks of each agent wait for their prediction; agents without any are left out.
  std::map<std::string, std::int64_t> unmatched_counts(const std::string& project);
  void drop_unmatched(const UnmatchedFeedback& feedback);

 private:
  Database& database_;
};

}  // namespace platform
