#include "workflows/steps/deploy_rollout_step.h"

#include <cstdlib>
#include <thread>

#include "deploy/model_release.h"
#include "deploy/selector.h"
#include "platform/base/file.h"
#include "platform/store/deployment_store.h"
#include "workflows/duration.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Deployment;
using platform::DeploymentState;
using platform::Error;
using platform::ErrorCode;

constexpr std::chrono::milliseconds kLook{200};       // where the worker is held
constexpr std::chrono::milliseconds kNextLook{5000};  // where it is not

double share_of(const std::string& percent) { return std::strtod(percent.c_str(), nullptr) / 100; }

// The deployment of this step and model version, so that the next try finds the one of this try. Its id is chosen
// before it is made. Once it has ended it is let go: a person who lets the run go on from here wants a new one.
class KnownDeployment {
 public:
  KnownDeployment(const std::filesystem::path& work_folder, const std::string& version)
      : file_(folder_for(work_folder, {{"version", version}}) / "deployment") {}

  bool made() const { return std::filesystem::exists(file_); }
  platform::DeploymentId id() const {
    if (made()) return platform::DeploymentId(platform::read_file(file_, 64));
    const auto made = platform::DeploymentId::make();
    platform::write_file_atomically(file_, made.str());
    return made;
  }
  void let_go() const { std::filesystem::remove(file_); }

 private:
  const std::filesystem::path file_;
};

std::string failures_of(const std::vector<platform::DeploymentAgent>& agents) {
  std::string text;
  for (const platform::DeploymentAgent& agent : agents) {
    if (agent.progress == platform::AgentProgress::kFailed) text += "; " + agent.agent + ": " + agent.reason;
  }
  return text;
}

void report(platform::StepContext& context, const Deployment& deployment,
            const std::vector<platform::DeploymentAgent>& agents) {
  std::int64_t committed = 0, failed = 0;
  for (const platform::DeploymentAgent& agent : agents) {
    committed += agent.progress == platform::AgentProgress::kCommitted ? 1 : 0;
    failed += agent.progress == platform::AgentProgress::kFailed ? 1 : 0;
  }
  context.report_progress({{"deployment", deployment.id.str()},
                           {"state", to_string(deployment.state)},
                           {"reason", deployment.reason},
                           {"agents", agents.size()},
                           {"committed", committed},
                           {"failed", failed}});
}

// A rollout to nobody would wait for ever.
void require_agents(const std::string& selector, const std::vector<platform::Agent>& agents) {
  constexpr std::size_t kNamed = 10;
  std::string named;
  for (std::size_t i = 0; i < agents.size(); ++i) {
    if (deploy::selects(selector, agents[i].name, agents[i].labels)) return;
    if (i >= kNamed) continue;
    named += (named.empty() ? "" : "; ") + agents[i].name + ":";
    for (const auto& [key, value] : agents[i].labels) named += " " + key + "=" + value;
  }
  if (agents.size() > kNamed) named += "; and " + std::to_string(agents.size() - kNamed) + " more";
  throw Error(ErrorCode::kInvalidInput,
              "no agent matches '" + selector + "'; " +
                  (agents.empty() ? "none has registered: start anneal-agent beside the machine"
                                  : "there are " + named + ". Change 'to', or the labels of an agent"),
              "to");
}

platform::StepOutcome until_the_next_look() {
  platform::StepOutcome waits;
  waits.kind = platform::StepOutcome::Kind::kWaits;
  waits.wait = kNextLook;
  return waits;
}

platform::StepOutcome outcome_of(const Deployment& deployment, const std::vector<platform::DeploymentAgent>& agents) {
  platform::StepOutcome outcome;
  outcome.outputs = {{"deployment", deployment.id.str()}, {"agents", agents.size()}};
  if (deployment.state == DeploymentState::kFinished && deployment.reason.empty()) return outcome;
  outcome.kind = platform::StepOutcome::Kind::kFailed;
  const bool failed = deployment.state == DeploymentState::kFailed;
  outcome.error = "the rollout of " + deployment.model + "/" + deployment.model_version +
                  (failed ? " has failed" : " is " + std::string(to_string(deployment.state))) +
                  (deployment.reason.empty() ? "" : ": " + deployment.reason) + failures_of(agents);
  return outcome;
}

}  // namespace

deploy::DeploymentRequest rollout_request(const json::object& with, std::string& version) {
  const std::string model = platform::require_string(with, "model", "with");
  const std::size_t slash = model.rfind('/');
  if (slash == std::string::npos || slash == 0)
    throw Error(ErrorCode::kInvalidInput, "'model' must name a version such as tool-failure/3, not '" + model + "'",
                "model");
  version = model.substr(slash + 1);
  deploy::DeploymentRequest request;
  request.model = model.substr(0, slash);
  request.selector = platform::string_or(with, "to", "*", "with");
  request.failure_threshold = platform::number_or(with, "threshold", 0, "with");
  request.automatic_rollback = platform::string_or(with, "rollback", "automatic", "with") == "automatic";
  if (const json::value* soak = platform::find(with, "soak")) {
    const auto length =
        duration_from(soak->is_string() ? std::string(soak->get_string()) : platform::canonical_json(*soak));
    if (!length) throw Error(ErrorCode::kInvalidInput, "'soak' must be a duration such as 10m", "soak");
    request.soak = *length;
  }
  if (const json::value* waves = platform::find(with, "waves")) {
    request.waves.clear();
    if (waves->is_string())
      request.waves.push_back(share_of(std::string(waves->get_string())));
    else
      for (const std::string& wave : platform::strings_from(*waves, "waves")) request.waves.push_back(share_of(wave));
  }
  request.validate();
  return request;
}

platform::StepOutcome DeployRolloutStep::execute(platform::StepContext& context) {
  if (services_.deployments == nullptr || services_.deployment_store == nullptr || services_.registry == nullptr) {
    throw Error(ErrorCode::kInvalidInput, "this worker has no registry to deploy from; run the workflow on a server");
  }
  std::string version;
  deploy::DeploymentRequest request = rollout_request(context.inputs(), version);
  request.project = context.run().project;
  request.created_by = context.run().started_by;
  deploy::fill_from_registry(request, version, *services_.registry, services_.data);
  const KnownDeployment known(context.work_folder(), request.model + "/" + request.model_version);
  if (!known.made()) {
    require_agents(request.selector, services_.deployment_store->agents(request.project));
    context.say("rolls out " + request.model + "/" + request.model_version + " to " + request.selector);
  }
  request.id = known.id();
  Deployment deployment = services_.deployments->create(request);
  for (;;) {
    if (const auto ended = look(context, deployment)) {
      known.let_go();
      return *ended;
    }
    if (context.should_stop())
      throw Error(ErrorCode::kCancelled, "stopped while waiting for the rollout; deployment " + deployment.id.str() +
                                             " is " + std::string(to_string(deployment.state)) +
                                             " and goes on without it: pause it or roll it back");
    if (context.may_wait()) return until_the_next_look();
    std::this_thread::sleep_for(kLook);
    services_.deployments->advance(deployment.id);
    const auto found = services_.deployment_store->find_by_id(deployment.id);
    if (!found) throw Error(ErrorCode::kNotFound, "deployment " + deployment.id.str() + " is gone");
    deployment = *found;
  }
}

std::optional<platform::StepOutcome> DeployRolloutStep::look(platform::StepContext& context,
                                                             const Deployment& deployment) const {
  const auto agents = services_.deployment_store->agents_of(deployment.id);
  report(context, deployment, agents);
  if (deployment.state != DeploymentState::kRunning && deployment.state != DeploymentState::kPaused)
    return outcome_of(deployment, agents);
  return std::nullopt;
}

}  // namespace workflows
