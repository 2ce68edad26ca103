#include "deploy/deployments.h"

#include <cmath>
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
  constexpr const char* kActor = "rollout";
  for (;;) {
    const auto deployment = store_.find_by_id(id);
    if (!deployment) throw Error(ErrorCode::kNotFound, "no such deployment: " + id.str());
    const RolloutAction action = next_action(*deployment, store_.agents_of(id));
    switch (action.kind) {
      case RolloutAction::Kind::kWait: return;
      case RolloutAction::Kind::kOffer: store_.offer(id, action.agents); return;
      case RolloutAction::Kind::kPause:
        store_.move(id, DeploymentState::kRunning, DeploymentState::kPaused, kActor, action.reason);
        return;
      case RolloutAction::Kind::kRollBack: roll_back(*deployment, kActor, action.reason); return;
      case RolloutAction::Kind::kFinish:
        // Before the state: a process that dies between the two does it again, which changes nothing.
        if (on_finished_) on_finished_(*deployment);
        store_.move(id, DeploymentState::kRunning, DeploymentState::kFinished, kActor, "");
        return;
    }
  }
}

void Deployments::advance_all() {
  for (const Deployment& deployment : store_.running()) advance(deployment.id);
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
  advance(deployment.id);
}

std::optional<Deployment> Deployments::roll_back(const Deployment& deployment, const std::string& actor,
                                                 const std::string& reason) {
  bool moved = false;
  for (const auto from : {DeploymentState::kRunning, DeploymentState::kPaused, DeploymentState::kFinished})
    moved = moved || store_.move(deployment.id, from, DeploymentState::kRolledBack, actor, reason);
  if (!moved)
    throw Error(ErrorCode::kConflict, "deployment cannot be rolled back: " + deployment.id.str() + " is " +
                                          std::string(to_string(deployment.state)));
  const auto before = store_.previous(deployment);
  if (!before) return std::nullopt;
  // An earlier model comes back under a new, higher number: agents refuse lower ones.
  Deployment back = *before;
  back.id = platform::DeploymentId::make();
  back.number = store_.next_number();
  back.state = DeploymentState::kRunning;
  back.reason.clear();
  back.waves = {1.0};
  back.automatic_rollback = false;
  back.created_by = actor;
  back.created_at = clock_.now();
  back.undoes = deployment.id;
  const json::value envelope = platform::parse_json(before->targets, "targets");
  Targets targets = targets_from_json(
      platform::parse_json(platform::require_string(envelope.as_object(), "payload", "targets"), "targets"));
  targets.version = back.number;
  targets.deployment = back.id.str();
  back.targets = sign_targets(keys_, targets);
  store_deployment(back);
  advance(back.id);
  return store_.find_by_id(back.id);
}

void Deployments::report(const Deployment& deployment, const std::string& agent, const std::string& key,
                         const std::string& state, const std::string& execution, const std::string& finished,
                         const std::string& code, const std::string& detail) {
  const auto apply = [&](DeploymentAgent& row) {
    row.progress = progress_after(row.progress, execution, finished, code, row.attempts);
    row.state = state;
    row.reason = finished == "failure" ? detail : row.reason;
  };
  if (!store_.report(deployment.id, agent, key, apply)) return;
  if (finished == "failure")
    log_.warning("agent failed",
                 {{"deployment", deployment.id.str()}, {"agent", agent}, {"code", code}, {"detail", detail}});
  if (execution == "closed") advance(deployment.id);
}

void Deployments::agent_appeared(const platform::Agent& agent) {
  for (const Deployment& deployment : store_.open_or_finished(agent.project)) {
    if (!selects(deployment.selector, agent.name, agent.labels)) continue;
    DeploymentAgent row;
    row.agent = agent.name;
    row.wave = static_cast<std::int64_t>(deployment.waves.size()) - 1;
    if (store_.add_agent(deployment.id, row)) advance(deployment.id);
  }
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
