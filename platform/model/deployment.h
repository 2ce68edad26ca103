// Deployment: the wish that the agents of a selector run one model version, and how far each of them is. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/error.h"
#include "platform/base/id.h"

namespace platform {

enum class DeploymentState {
  kRunning,
  kPaused,      // by a person, or by too many failures
  kFinished,    // the last wave is through
  kRolledBack,  // another deployment brings the previous version back
  kSuperseded,  // a newer deployment took over: the same model and selector, or the last agents that it waited for
  kFailed,      // too many failures, and nothing stood there before that an automatic rollback could bring back
};

/// Where one agent stands in one deployment.
enum class AgentProgress {
  kWaiting,     // its wave has not begun
  kOffered,     // the bundle is offered or being installed
  kCommitted,   // probe and soak passed; it answers with this version
  kFailed,      // it went back to its previous version and said why
  kSuperseded,  // a newer deployment took the agent before it was through with this one
};

constexpr std::string_view to_string(DeploymentState state) {
  constexpr std::string_view kNames[] = {"running", "paused", "finished", "rolled_back", "superseded", "failed"};
  return kNames[static_cast<std::size_t>(state)];
}
constexpr std::string_view to_string(AgentProgress progress) {
  constexpr std::string_view kNames[] = {"waiting", "offered", "committed", "failed", "superseded"};
  return kNames[static_cast<std::size_t>(progress)];
}
/// Throw kInvalidInput for an unknown name.
inline DeploymentState deployment_state_from(std::string_view name) {
  for (const auto state : {DeploymentState::kRunning, DeploymentState::kPaused, DeploymentState::kFinished,
                           DeploymentState::kRolledBack, DeploymentState::kSuperseded, DeploymentState::kFailed})
    if (to_string(state) == name) return state;
  throw Error(ErrorCode::kInvalidInput, "unknown deployment state: " + std::string(name));
}
inline AgentProgress agent_progress_from(std::string_view name) {
  for (const auto progress : {AgentProgress::kWaiting, AgentProgress::kOffered, AgentProgress::kCommitted,
                              AgentProgress::kFailed, AgentProgress::kSuperseded})
    if (to_string(progress) == name) return progress;
  throw Error(ErrorCode::kInvalidInput, "unknown agent progress: " + std::string(name));
}

struct Deployment {
  DeploymentId id;
  std::string project = "default";
  std::int64_t number = 0;  // the bundle's version: rises over all deployments of a server
  std::string model;
  std::string model_version;  // the version's number as text, or any name it goes by
  std::string adapter_digest;
  std::string base_digest;
  std::string selector;
  std::vector<double> waves{0.1, 1.0};
  std::chrono::seconds soak{600};
  double failure_threshold = 0.0;  // share of a wave that may fail before the rollout stops
  bool automatic_rollback = true;
  DeploymentState state = DeploymentState::kRunning;
  std::string reason;   // why it is paused, rolled back, superseded or failed
  std::string targets;  // signed envelope
  std::string created_by;
  Time created_at{};
  std::optional<DeploymentId> undoes;  // set on the deployment that rolls that one back
  bool moves_production = true;        // when it finishes; false once it has
};

struct DeploymentAgent {
  std::string agent;
  std::int64_t wave = 0;
  AgentProgress progress = AgentProgress::kWaiting;
  std::string state;   // last state the agent reported: "downloading", "probation", ...
  std::string reason;  // of a failure, or what it waits for
  std::int64_t attempts = 0;
  Time updated_at{};
};

/// One plant machine, as it described itself.
struct Agent {
  std::string project = "default";
  std::string name;
  std::map<std::string, std::string> labels;
  std::string program_version;
  std::string model;  // what it answers with now; empty before its first commit
  std::string model_version;
  std::string adapter_digest;
  Time registered_at{};
  Time last_seen{};
  std::string notice;  // the last thing it had to say beside its updates, e.g. a courier bundle that it refused
  std::optional<Time> notice_at;
};

struct DeploymentEvent {
  Time at{};
  std::string actor;  // a user, "agent:edge-01" or "rollout"
  std::string what;  // "created", "offered", "committed", "failed", "paused", "resumed", "rolled_back", "finished", ...
  std::string detail;
};

/// An answer that an agent gave, kept to be joined with what really happened.
struct PredictionRecord {
  std::string id;  // UUID made by the agent
  std::string project = "default";
  std::string agent;
  std::string model;
  std::string model_version;
  std::string adapter_digest;
  Time at{};
  std::string fields;  // JSON object as the caller sent it
  std::string answer;  // JSON object as the agent answered
  std::string target;  // name of the field that the model predicts; empty for text
};

/// What really happened after an answer that the server has not heard of.
struct UnmatchedFeedback {
  std::string project = "default";
  std::string prediction;  // UUID
  std::string key;
  std::string agent;
  std::string body;  // JSON object as the agent sent it
};

}  // namespace platform
