// The decisions of a rollout, as pure functions of what is known: who belongs to which wave, and what to do next. A
// rollout advances by behaviour (agents that committed after probe and soak), stops when too many failed, and neither
// advances nor stops because an agent is silent. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/model/deployment.h"

namespace deploy {

/// Wave of each agent, from 0: wave i holds the first ceil(waves[i] * n) agents in the order of sha256(deployment,
/// name), so that membership is stable and differs from rollout to rollout. Every agent has a wave; the last share is
/// taken as 1.
std::vector<std::int64_t> assign_waves(const std::string& deployment, const std::vector<std::string>& agents,
                                       const std::vector<double>& waves);

struct RolloutAction {
  enum class Kind {
    kWait,       // nothing to do until an agent reports
    kOffer,      // offer the bundle to `agents`
    kFinish,     // every agent has committed (or failed within the threshold)
    kPause,      // too many failures; a person decides
    kRollBack,   // too many failures; go back by itself, or fail where there is nothing to go back to
    kSupersede,  // newer deployments took agents, and there is nobody left to wait for
  };
  Kind kind = Kind::kWait;
  std::int64_t wave = 0;
  std::vector<std::string> agents;
  std::string reason;
};

/// What to do now for a running deployment; a finished one is only offered to agents that came late, and for any other
/// state, or without agents, it is kWait. A failed share of a wave above `failure_threshold` stops the rollout (0: the
/// first failure does). Agents that a newer deployment took do not count.
RolloutAction next_action(const platform::Deployment& deployment, const std::vector<platform::DeploymentAgent>& agents);

/// What a report of an agent makes of its progress. `attempts` counts offers so far; an interruption (power cut) is
/// offered again up to three times, a withdrawal always; an agent that has seen a newer bundle ("older") is superseded;
/// everything else that failed is failed.
platform::AgentProgress progress_after(platform::AgentProgress before, const std::string& execution,
                                       const std::string& finished, const std::string& code, std::int64_t attempts);

}  // namespace deploy
