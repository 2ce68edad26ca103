#include "deploy/agent/agent_states.h"

#include <array>
#include <string>
#include <utility>

#include "platform/base/error.h"

namespace deploy {
namespace {

using S = AgentState;
using E = AgentEvent;

constexpr std::array<std::pair<AgentState, std::string_view>, 8> kStateNames{{
    {S::kIdle, "idle"},
    {S::kDownloading, "downloading"},
    {S::kVerifying, "verifying"},
    {S::kStaging, "staging"},
    {S::kActivating, "activating"},
    {S::kProbation, "probation"},
    {S::kCommitted, "committed"},
    {S::kRollingBack, "rolling_back"},
}};

constexpr std::array<std::string_view, 6> kEventNames{"offered",   "done",      "failed",
                                                      "withdrawn", "restarted", "restarted_at_first"};

}  // namespace

const std::vector<Transition>& transitions() {
  // clang-format off
  static const std::vector<Transition> table{
      {S::kIdle,        E::kOffered,          S::kDownloading},
      {S::kIdle,        E::kRestarted,        S::kIdle},
      {S::kIdle,        E::kRestartedAtFirst, S::kIdle},

      {S::kDownloading, E::kDone,             S::kVerifying},
      {S::kDownloading, E::kFailed,           S::kRollingBack},
      {S::kDownloading, E::kWithdrawn,        S::kRollingBack},
      {S::kDownloading, E::kRestarted,        S::kDownloading},
      {S::kDownloading, E::kRestartedAtFirst, S::kDownloading},

      {S::kVerifying,   E::kDone,             S::kStaging},
      {S::kVerifying,   E::kFailed,           S::kRollingBack},
      {S::kVerifying,   E::kWithdrawn,        S::kRollingBack},
      {S::kVerifying,   E::kRestarted,        S::kVerifying},
      {S::kVerifying,   E::kRestartedAtFirst, S::kVerifying},

      {S::kStaging,     E::kDone,             S::kActivating},
      {S::kStaging,     E::kFailed,           S::kRollingBack},
      {S::kStaging,     E::kWithdrawn,        S::kRollingBack},
      {S::kStaging,     E::kRestarted,        S::kStaging},
      {S::kStaging,     E::kRestartedAtFirst, S::kStaging},

      {S::kActivating,  E::kDone,             S::kProbation},
      {S::kActivating,  E::kFailed,           S::kRollingBack},
      {S::kActivating,  E::kWithdrawn,        S::kRollingBack},
      {S::kActivating,  E::kRestarted,        S::kRollingBack},
      {S::kActivating,  E::kRestartedAtFirst, S::kActivating},

      {S::kProbation,   E::kDone,             S::kCommitted},
      {S::kProbation,   E::kFailed,           S::kRollingBack},
      {S::kProbation,   E::kWithdrawn,        S::kRollingBack},
      {S::kProbation,   E::kRestarted,        S::kRollingBack},
      {S::kProbation,   E::kRestartedAtFirst, S::kActivating},

      {S::kCommitted,   E::kDone,             S::kIdle},
      {S::kCommitted,   E::kRestarted,        S::kCommitted},
      {S::kCommitted,   E::kRestartedAtFirst, S::kCommitted},

      {S::kRollingBack, E::kDone,             S::kIdle},
      {S::kRollingBack, E::kRestarted,        S::kRollingBack},
      {S::kRollingBack, E::kRestartedAtFirst, S::kRollingBack},
  };
  // clang-format on
  return table;
}

std::string_view to_string(AgentState state) {
  for (const auto& [known, name] : kStateNames)
    if (known == state) return name;
  return "unknown";
}

AgentState agent_state_from(std::string_view name) {
  for (const auto& [state, known] : kStateNames)
    if (known == name) return state;
  throw platform::Error(platform::ErrorCode::kCorrupt, "unknown agent state: " + std::string(name) +
                                                           "; the state file was written by another program");
}

std::string_view to_string(AgentEvent event) { return kEventNames[static_cast<std::size_t>(event)]; }

AgentState next_state(AgentState from, AgentEvent event) {
  for (const auto& row : transitions())
    if (row.from == from && row.event == event) return row.to;
  throw platform::Error(platform::ErrorCode::kInternal,
                        "no transition from " + std::string(to_string(from)) + " on " + std::string(to_string(event)));
}

}  // namespace deploy
