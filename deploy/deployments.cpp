#include "deploy/deployments.h"

#include <exception>
#include <map>
#include <utility>

#include "deploy/rollout.h"
#include "deploy/selector.h"
#include "platform/base/error.h"
#include "platform/base/json.h"
#include "platform/store/blob_store.h"
#include "platform/store/deployment_store.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Deployment;
using platform::DeploymentAgent;
using platform::DeploymentState;
using platform::Error;
using platform::ErrorCode;

constexpr const char* kRollout = "rollout";  // the actor of what happens by itself

// Files of a folder in the blob store, below `prefix`.
void add_files(Targets& targets, const std::string& prefix, const std::string& manifest) {
  const json::value document = platform::parse_json(manifest, "folder manifest");
  for (const json::value& entry : platform::as_array(
           platform::require(platform::as_object(document, "folder"), "files", "folder"), "folder.files")) {
    const json::object& file = platform::as_object(entry, "folder.files");
    targets.files[prefix + platform::require_string(file, "name", "folder.files")] = {
        platform::require_string(file, "digest", "folder.files"),
        static_cast<std::uint64_t>(platform::require_int(file, "size", "folder.files"))};
  }
}

// The base's digest as the adapter's own manifest pins it.
std::string base_digest_in(const std::string& adapter_manifest) {
  const json::value document = platform::parse_json(adapter_manifest, "anneal.json");
  const json::object& object = platform::as_object(document, "anneal.json");
  return platform::require_string(object, "base", "anneal.json");
}

// After a failure with nothing to go back to: an agent that was through answers with the version until it gets another.
std::string who_keeps_it(const std::vector<DeploymentAgent>& agents) {
  std::string first;
  std::size_t others = 0;
  for (const DeploymentAgent& agent : agents) {
    if (agent.progress != platform::AgentProgress::kCommitted) continue;
    if (first.empty())
      first = agent.agent;
    else
      ++others;
  }
  if (first.empty()) return ", and no agent answers with this one";
  return "; " + first + (others == 0 ? " goes" : " and " + std::to_string(others) + " more go") + " on with this one";
}

}  // namespace

void DeploymentRequest::validate() const {
  selects(selector, "", {});
  if (model.empty()) throw Error(ErrorCode::kInvalidInput, "model is empty", "model");
  if (waves.empty() || waves.back() != 1.0)
    throw Error(ErrorCode::kInvalidInput, "the last wave is 100%; write waves such as [10%, 100%]", "waves");
  double before = 0;
  for (const double wave : waves) {
    if (!(wave > before) || wave > 1.0)
      throw Error(ErrorCode::kInvalidInput, "waves rise and lie above 0% and at most at 100%", "waves");
    before = wave;
  }
  if (soak.count() < 0 || soak > std::chrono::hours(24 * 30))
    throw Error(ErrorCode::kInvalidInput, "soak lies between 0 and 30 days", "soak");
  if (!(failure_threshold >= 0 && failure_threshold < 1))
    throw Error(ErrorCode::kInvalidInput, "failure_threshold lies in [0, 1)", "failure_threshold");
}

Deployments::Deployments(platform::DeploymentStore& store, platform::BlobStore& blobs, SigningKeys keys,
                         const platform::Clock& clock, platform::Log log, OnFinished on_finished)
    : store_(store),
      blobs_(blobs),
      keys_(std::move(keys)),
      clock_(clock),
      log_(std::move(log)),
      on_finished_(std::move(on_finished)) {}

Deployment Deployments::create(const DeploymentRequest& request) {
  request.validate();
  if (request.id) {
    if (auto made = store_.find(request.project, request.id->str())) return *std::move(made);
  }
  Deployment deployment;
  deployment.id = request.id.value_or(platform::DeploymentId::make());
  deployment.number = store_.next_number();
  Targets targets;
  targets.version = deployment.number;
  targets.deployment = deployment.id.str();
  targets.model = request.model;
  targets.model_version = request.model_version;
  targets.selector = request.selector;
  targets.soak_seconds = request.soak.count();
  add_files(targets, "adapter/", blobs_.get(request.adapter));
  add_files(targets, "base/", blobs_.get(blobs_.put_folder(request.base_folder)));
  const auto manifest = targets.files.find("adapter/anneal.json");
  if (manifest == targets.files.end())
    throw Error(ErrorCode::kInvalidInput, "not an adapter: " + request.adapter + " holds no anneal.json", "adapter");
  targets.adapter_digest = manifest->second.digest;
  targets.base_digest = base_digest_in(blobs_.get(manifest->second.digest));

  deployment.project = request.project;
  deployment.model = request.model;
  deployment.model_version = request.model_version;
  deployment.adapter_digest = targets.adapter_digest;
  deployment.base_digest = targets.base_digest;
  deployment.selector = request.selector;
  deployment.waves = request.waves;
  deployment.soak = request.soak;
  deployment.failure_threshold = request.failure_threshold;
  deployment.automatic_rollback = request.automatic_rollback;
  deployment.targets = sign_targets(keys_, targets);
  deployment.created_by = request.created_by;
  deployment.created_at = clock_.now();
  deployment.undoes = request.undoes;
  store_deployment(deployment);
  advance(deployment.id);
  return store_.find(deployment.project, deployment.id.str()).value_or(deployment);
}

void Deployments::store_deployment(const Deployment& deployment) {
  std::vector<std::string> names;
  for (const platform::Agent& agent : store_.agents(deployment.project))
    if (selects(deployment.selector, agent.name, agent.labels)) names.push_back(agent.name);
  const auto waves = assign_waves(deployment.id.str(), names, deployment.waves);
  std::vector<DeploymentAgent> agents;
  for (std::size_t i = 0; i < names.size(); ++i) {
    DeploymentAgent agent;
    agent.agent = names[i];
    agent.wave = waves[i];
    agents.push_back(std::move(agent));
  }
  store_.create(deployment, agents);
  log_.info("deployment made", {{"deployment", deployment.id.str()},
                                {"number", deployment.number},
                                {"model", deployment.model},
                                {"agents", agents.size()}});
}

void Deployments::advance(const platform::DeploymentId& id) {
  const auto deployment = store_.find_by_id(id);
  if (!deployment) throw Error(ErrorCode::kNotFound, "no such deployment: " + id.str());
  const RolloutAction action = next_action(*deployment, store_.agents_of(id));
  switch (action.kind) {
    case RolloutAction::Kind::kWait: return;
    case RolloutAction::Kind::kOffer: return store_.offer(id, action.agents);
    case RolloutAction::Kind::kPause:
      store_.move(id, DeploymentState::kRunning, DeploymentState::kPaused, kRollout, action.reason);
      return;
    case RolloutAction::Kind::kRollBack: return go_back(*deployment, action.reason);
    case RolloutAction::Kind::kSupersede:
      store_.move(id, DeploymentState::kRunning, DeploymentState::kSuperseded, kRollout, action.reason);
      return;
    case RolloutAction::Kind::kFinish: return finish(*deployment);
  }
}

void Deployments::finish(const Deployment& deployment) {
  // The call comes before the state: a process that dies between the two does it again, which changes nothing.
  const std::string reason = on_finished_ && deployment.moves_production ? on_finished_(deployment) : std::string();
  store_.move(deployment.id, DeploymentState::kRunning, DeploymentState::kFinished, kRollout, reason);
}

void Deployments::go_back(const Deployment& deployment, const std::string& reason) {
  const auto backs = ways_back(deployment, kRollout);
  if (backs.empty()) {
    store_.move(deployment.id, DeploymentState::kRunning, DeploymentState::kFailed, kRollout,
                reason + "; there is no earlier version to go back to" + who_keeps_it(store_.agents_of(deployment.id)) +
                    ". Mend what the reason says, then deploy it again");
    return;
  }
  if (!store_.roll_back(deployment.id, kRollout, reason, backs)) return;  // somebody else was faster
  for (const auto& back : backs) advance(back.deployment.id);
}

void Deployments::advance_all() {
  std::exception_ptr failure;
  for (const Deployment& deployment : store_.unsettled()) {
    try {
      advance(deployment.id);
    } catch (const Error& error) {
      log_.error("rollout does not move on", {{"deployment", deployment.id.str()}, {"reason", in_full(error)}});
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

void Deployments::pause(const Deployment& deployment, const std::string& actor, const std::string& reason) {
  if (!store_.move(deployment.id, DeploymentState::kRunning, DeploymentState::kPaused, actor, reason))
    throw Error(ErrorCode::kConflict,
                "deployment does not run: " + deployment.id.str() + " is " + std::string(to_string(deployment.state)));
}

void Deployments::resume(const Deployment& deployment, const std::string& actor) {
  if (!store_.move(deployment.id, DeploymentState::kPaused, DeploymentState::kRunning, actor, ""))
    throw Error(ErrorCode::kConflict,
                "deployment is not paused: " + deployment.id.str() + " is " + std::string(to_string(deployment.state)));
  store_.forgive_failures(deployment.id);  // a person has decided to go on
  for (const platform::Agent& agent : store_.agents(deployment.project))
    if (selects(deployment.selector, agent.name, agent.labels)) join(deployment, agent);
  advance(deployment.id);
}

std::optional<Deployment> Deployments::roll_back(const Deployment& deployment, const std::string& actor,
                                                 const std::string& reason) {
  const auto backs = ways_back(deployment, actor);
  if (!store_.roll_back(deployment.id, actor, reason, backs))
    throw Error(ErrorCode::kConflict, "deployment cannot be rolled back: " + deployment.id.str() + " is " +
                                          std::string(to_string(deployment.state)));
  for (const auto& back : backs) advance(back.deployment.id);
  if (backs.empty()) return std::nullopt;
  return store_.find_by_id(backs.back().deployment.id);
}

// Rising by number; the last one is for the newest of the earlier versions and for the agents that had none.
std::vector<platform::NewDeployment> Deployments::ways_back(const Deployment& deployment, const std::string& actor) {
  std::map<std::int64_t, platform::NewDeployment> by_number;  // of the earlier deployment
  std::vector<DeploymentAgent> without;
  for (const auto& [name, id] : store_.earlier(deployment)) {
    DeploymentAgent agent;
    agent.agent = name;
    if (!id) {
      without.push_back(agent);
      continue;
    }
    const Deployment earlier = *store_.find_by_id(*id);
    auto& back = by_number.try_emplace(earlier.number, platform::NewDeployment{earlier, {}}).first->second;
    back.agents.push_back(agent);
  }
  std::vector<platform::NewDeployment> backs;
  for (auto& [number, back] : by_number) {
    back.deployment = way_back(deployment, back.deployment, actor);
    backs.push_back(std::move(back));
  }
  if (backs.empty()) return backs;
  backs.back().agents.insert(backs.back().agents.end(), without.begin(), without.end());
  backs.back().deployment.moves_production = deployment.state == DeploymentState::kFinished;
  return backs;
}

// An earlier model comes back under a new, higher number: agents refuse lower ones.
Deployment Deployments::way_back(const Deployment& deployment, const Deployment& earlier, const std::string& actor) {
  Deployment back = earlier;
  back.id = platform::DeploymentId::make();
  back.number = store_.next_number();
  back.selector = deployment.selector;
  back.state = DeploymentState::kRunning;
  back.reason.clear();
  back.waves = {1.0};
  back.automatic_rollback = false;
  back.moves_production = false;
  back.created_by = actor;
  back.created_at = clock_.now();
  back.undoes = deployment.id;
  Targets targets = targets_in(earlier.targets);
  targets.version = back.number;
  targets.deployment = back.id.str();
  targets.selector = back.selector;
  back.targets = sign_targets(keys_, targets);
  return back;
}

void Deployments::report(const Deployment& deployment, const std::string& agent, const std::string& key,
                         const std::string& state, const std::string& execution, const std::string& finished,
                         const std::string& code, const std::string& detail) {
  const auto apply = [&](DeploymentAgent& row) {
    row.progress = progress_after(row.progress, execution, finished, code, row.attempts);
    row.state = state;
    row.reason = detail;
  };
  if (!store_.report(deployment.id, agent, key, apply)) return;
  if (finished == "failure")
    log_.warning("agent did not get through",
                 {{"deployment", deployment.id.str()}, {"agent", agent}, {"code", code}, {"detail", detail}});
  if (execution == "closed") advance(deployment.id);
}

bool Deployments::join(const Deployment& deployment, const platform::Agent& agent) {
  DeploymentAgent row;
  row.agent = agent.name;
  row.wave = static_cast<std::int64_t>(deployment.waves.size()) - 1;
  return store_.add_agent(deployment.id, row);
}

void Deployments::agent_appeared(const platform::Agent& agent) {
  for (const Deployment& deployment : store_.joinable(agent.project)) {
    if (!selects(deployment.selector, agent.name, agent.labels)) continue;
    if (join(deployment, agent)) advance(deployment.id);
    return;
  }
}

void Deployments::agent_answers_with(const platform::Agent& agent) {
  const auto deployment = store_.lost_by(agent.project, agent.name, agent.adapter_digest);
  if (!deployment || !selects(deployment->selector, agent.name, agent.labels)) return;
  const std::string why = (agent.adapter_digest.empty() ? "the agent answers with nothing"
                                                        : "the agent answers with " + agent.adapter_digest) +
                          std::string("; it is offered again");
  if (!store_.install_again(deployment->id, agent.name, why)) return;
  log_.warning("agent has lost its version", {{"deployment", deployment->id.str()}, {"agent", agent.name}});
  advance(deployment->id);
}

BundleMetadata Deployments::metadata(const Deployment& deployment, std::chrono::seconds valid) {
  return {keys_.root(),
          sign_timestamp(keys_, deployment.targets, deployment.number, store_.next_timestamp_version(), clock_.now(),
                         valid),
          deployment.targets};
}

void Deployments::export_bundle(const Deployment& deployment, std::chrono::seconds valid,
                                const std::filesystem::path& file) {
  write_bundle(file, metadata(deployment, valid), [this](const std::string& digest) { return blobs_.path_of(digest); });
}

}  // namespace deploy
