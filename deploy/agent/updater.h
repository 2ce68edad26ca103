// Updater: walks one update through the table of agent_states.h. Every state is on disk before it is acted on; `step`
// performs one state and catches what goes wrong in it (one of the house's four places). A disk that takes nothing
// more stops an update where it is, to go on later; it never stops the program. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "deploy/agent/agent_states.h"
#include "deploy/agent/release_folder.h"
#include "deploy/trust.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"

namespace deploy {

/// Signed documents of an offer.
struct Offer {
  std::string deployment;
  std::string timestamp;
  std::string targets;
  bool courier = false;  // came by file: no server can withdraw it
};

/// What an update wants to tell the server; delivered later if the server is away.
struct UpdateReport {
  std::string key;  // the same when the same thing is told again after a power cut
  std::string deployment;
  std::int64_t version = 0;
  std::string state;      // name of an AgentState
  std::string execution;  // hawkBit words: "proceeding" or "closed"
  std::string finished;   // "success", "failure" or "none"
  std::string code;       // of a failure: "refused", "older", "failed", "interrupted", "withdrawn"
  std::string detail;
};

/// The server as the updater sees it. `HttpPeer` speaks to a server; tests bring their own.
class UpdatePeer {
 public:
  virtual ~UpdatePeer() = default;
  /// Appends what is missing of the blob to `partial`. Throws kUnavailable if it cannot finish now; bytes already there
  /// stay. Throws kCorrupt if the server has more than `size` bytes under this name.
  virtual void download(const std::string& digest, std::uint64_t size, const std::filesystem::path& partial) = 0;
  /// Queues a report durably; never waits for the server. Throws kDiskFull if there is no room for it.
  virtual void report(const UpdateReport& report) = 0;
  /// False once the server has withdrawn this deployment; true if it is not known (the server is away).
  virtual bool still_wanted(const std::string& deployment) = 0;
};

/// The running model. `Serving` is the real one; tests bring their own.
class ModelSlot {
 public:
  virtual ~ModelSlot() = default;
  /// Loads the release beside the running one, verifies its manifest and runs its probe. Throws if anything is off.
  virtual void prepare(const Release& release) = 0;
  /// Answers come from the prepared release from now on.
  virtual void activate() = 0;
  /// Throws if the active release no longer answers its probe.
  virtual void check() = 0;
  /// Loads and activates a release that ran before; nullopt = answer nothing.
  virtual void restore(const std::optional<Release>& release) = 0;
};

struct UpdaterOptions {
  platform::Log log = platform::Log::silent();
  std::string name;  // this agent's, for the bundle's selector
  std::map<std::string, std::string> labels;
  /// Called after a state is saved ("saved") and after its work is done but before the next is saved ("done"): tests
  /// cut the power here.
  std::function<void(AgentState state, std::string_view phase)> on_state = {};
};

class Updater {
 public:
  Updater(ReleaseFolder& folder, UpdatePeer& peer, ModelSlot& slot, const platform::Clock& clock,
          UpdaterOptions options);

  /// After a start: does what the table says about the saved state and loads the current release, so that there is a
  /// model to answer with when this returns. Where the disk is full, that is made up for by `step`. Call once.
  void resume();
  AgentState state() const { return record_.state; }
  /// Begins an update if idle. Documents that do not verify are reported as refused, and as "older" if this machine has
  /// seen a newer bundle, and change nothing; returns whether an update began. The version that is already current is
  /// confirmed to the server if it answers; if its files are damaged it is installed anew. Throws kDiskFull or
  /// kUnavailable if nothing can be stored now, and why a courier bundle is refused: no server waits for its report.
  bool offer(const Offer& offer);
  /// Does the work of the present state. Returns false if there was nothing to do now: idle, a download that must wait
  /// for the network, or a soak that is not over.
  bool step();

 private:
  struct Record {
    AgentState state = AgentState::kIdle;
    std::string attempt;  // id of this try, part of every report's key
    std::optional<Targets> targets;
    std::int64_t previous = 0;  // version to go back to; 0 = none
    std::optional<platform::Time> probation_since;
    std::string code;
    std::string reason;
    std::int64_t starts = 0;  // of the program since the update began
    bool courier = false;
  };
  enum class Outcome { kDone, kWait };

  void load();
  void save(const Record& record);
  void settle();
  void enter(AgentEvent event, const std::string& code = {}, const std::string& reason = {});
  void fail(AgentEvent event, const std::string& code, const std::string& reason);
  void refuse(const Offer& offer, const std::string& code, const std::string& reason);
  std::string restore_current();
  bool damaged_current();
  void tell(const std::string& execution, const std::string& finished);
  void tell_progress();
  void wait_for(const std::string& reason);
  bool abandonable() const;
  bool advance();
  Outcome act();
  Outcome download();
  void fetch(const TargetFile& file);
  Outcome verify();
  Outcome stage();
  Outcome activate();
  Outcome probation();
  Outcome commit();
  Outcome roll_back();

  ReleaseFolder& folder_;
  UpdatePeer& peer_;
  ModelSlot& slot_;
  const platform::Clock& clock_;
  UpdaterOptions options_;
  MetadataStore trust_;
  Record record_;
  bool unsettled_ = false;  // the start could not be stored yet
  std::string waits_for_;   // told once
};

}  // namespace deploy
