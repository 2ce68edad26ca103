#include "deploy/rollout.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "platform/base/digest.h"

namespace deploy {
namespace {

constexpr std::int64_t kMostAttempts = 3;

using platform::AgentProgress;
using Kind = RolloutAction::Kind;

struct WaveCount {
  std::int64_t size = 0, waiting = 0, offered = 0, failed = 0;  // size without those that are superseded
};

WaveCount count(const std::vector<platform::DeploymentAgent>& agents, std::int64_t wave) {
  WaveCount counted;
  for (const auto& agent : agents) {
    if (agent.wave != wave || agent.progress == AgentProgress::kSuperseded) continue;
    ++counted.size;
    counted.waiting += agent.progress == AgentProgress::kWaiting;
    counted.offered += agent.progress == AgentProgress::kOffered;
    counted.failed += agent.progress == AgentProgress::kFailed;
  }
  return counted;
}

std::string failure_reason(const std::vector<platform::DeploymentAgent>& agents, std::int64_t wave,
                           const WaveCount& counted) {
  std::string reason = std::to_string(counted.failed) + " of " + std::to_string(counted.size) + " agents of wave " +
                       std::to_string(wave + 1) + " failed";
  for (const auto& agent : agents)
    if (agent.wave == wave && agent.progress == AgentProgress::kFailed)
      return reason + "; " + agent.agent + ": " + agent.reason;
  return reason;
}

// Of one wave, or of all.
RolloutAction offer_waiting(const std::vector<platform::DeploymentAgent>& agents, std::optional<std::int64_t> wave) {
  RolloutAction offer{Kind::kOffer, wave.value_or(0), {}, {}};
  for (const auto& agent : agents)
    if ((!wave || agent.wave == *wave) && agent.progress == AgentProgress::kWaiting)
      offer.agents.push_back(agent.agent);
  return offer.agents.empty() ? RolloutAction{} : offer;
}

}  // namespace

std::vector<std::int64_t> assign_waves(const std::string& deployment, const std::vector<std::string>& agents,
                                       const std::vector<double>& waves) {
  std::vector<std::size_t> order(agents.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::vector<std::string> keys;
  for (const std::string& agent : agents) keys.push_back(platform::sha256_hex(deployment + "\n" + agent));
  std::sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) { return keys[left] < keys[right]; });
  const std::int64_t last = std::max<std::int64_t>(0, static_cast<std::int64_t>(waves.size()) - 1);
  std::vector<std::int64_t> assigned(agents.size(), last);
  for (std::size_t place = 0; place < order.size(); ++place) {
    for (std::int64_t wave = 0; wave < last; ++wave) {
      const double members =
          std::ceil(waves[static_cast<std::size_t>(wave)] * static_cast<double>(agents.size()) - 1e-9);
      if (static_cast<double>(place) >= members) continue;
      assigned[order[place]] = wave;
      break;
    }
  }
  return assigned;
}

RolloutAction next_action(const platform::Deployment& deployment,
                          const std::vector<platform::DeploymentAgent>& agents) {
  if (deployment.state == platform::DeploymentState::kFinished) return offer_waiting(agents, std::nullopt);
  if (deployment.state != platform::DeploymentState::kRunning || agents.empty()) return {};
  std::int64_t last = 0;
  for (const auto& agent : agents) last = std::max(last, agent.wave);
  for (std::int64_t wave = 0; wave <= last; ++wave) {
    const WaveCount counted = count(agents, wave);
    if (static_cast<double>(counted.failed) > deployment.failure_threshold * static_cast<double>(counted.size))
      return {deployment.automatic_rollback ? Kind::kRollBack : Kind::kPause,
              wave,
              {},
              failure_reason(agents, wave, counted)};
    if (counted.waiting > 0) return offer_waiting(agents, wave);
    if (counted.offered > 0) return {Kind::kWait, wave, {}, {}};
  }
  for (const auto& agent : agents)
    if (agent.progress == AgentProgress::kSuperseded)
      return {
          Kind::kSupersede, last, {}, "newer bundles reached the agents that it waited for, such as " + agent.agent};
  return {Kind::kFinish, last, {}, {}};
}

platform::AgentProgress progress_after(platform::AgentProgress before, const std::string& execution,
                                       const std::string& finished, const std::string& code, std::int64_t attempts) {
  if (before == AgentProgress::kCommitted || execution != "closed") return before;
  if (finished == "success") return AgentProgress::kCommitted;
  if (finished != "failure" || before == AgentProgress::kSuperseded) return before;
  if (code == "older") return AgentProgress::kSuperseded;
  if (code == "withdrawn") return AgentProgress::kWaiting;
  return code == "interrupted" && attempts < kMostAttempts ? AgentProgress::kWaiting : AgentProgress::kFailed;
}

}  // namespace deploy
