// The life of an update on a plant machine, as one table. A state is saved before it is acted on, so after a power cut
// the table alone says how to go on: states before the switch are repeated, states after it go back to the previous
// version (or forward again, where there is none). Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

namespace deploy {

enum class AgentState {
  kIdle,         // answering with the current version, nothing under way
  kDownloading,  // metadata accepted; fetching blobs that are missing
  kVerifying,    // hashing every file of the bundle
  kStaging,      // laying out the release folder beside the running one
  kActivating,   // loading the new version with its probe and moving `current` to it
  kProbation,    // answering with the new version; watched for the soak time
  kCommitted,    // the new version stays; the server is told, old releases are removed
  kRollingBack,  // back to the previous version; the server is told why
};

enum class AgentEvent {
  kOffered,           // the server has a bundle for us
  kDone,              // the state's work is finished
  kFailed,            // the state's work cannot be finished
  kWithdrawn,         // the server took the offer back
  kRestarted,         // the program was started and found this state saved
  kRestartedAtFirst,  // the same, and there is no previous version to go back to
};

std::string_view to_string(AgentState state);
/// Throws kCorrupt for an unknown name.
AgentState agent_state_from(std::string_view name);
std::string_view to_string(AgentEvent event);

struct Transition {
  AgentState from;
  AgentEvent event;
  AgentState to;
};

/// Every row, in the order of the states.
const std::vector<Transition>& transitions();
/// The state that follows. Throws kInternal for a pair that the table does not have.
AgentState next_state(AgentState from, AgentEvent event);

}  // namespace deploy
