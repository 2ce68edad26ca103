#include "deploy/agent/updater.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "deploy/selector.h"
#include "deploy/trust.h"
#include "platform/base/error.h"
#include "platform/base/id.h"
#include "platform/base/json.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr std::int64_t kMostStarts = 3;  // of a first version that never gets through; then it is given up

std::string code_of(const std::exception& failure) {
  const auto* error = dynamic_cast<const Error*>(&failure);
  return error != nullptr && error->code() == ErrorCode::kCorrupt ? "refused" : "failed";
}

// The server, what lies between, or this machine's disk: it may pass, and the bytes that are here stay.
bool may_pass(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kCancelled || code == ErrorCode::kInternal ||
         code == ErrorCode::kUnauthenticated || code == ErrorCode::kForbidden || code == ErrorCode::kDiskFull;
}

}  // namespace

Updater::Updater(ReleaseFolder& folder, UpdatePeer& peer, ModelSlot& slot, const platform::Clock& clock,
                 UpdaterOptions options)
    : folder_(folder), peer_(peer), slot_(slot), clock_(clock), options_(std::move(options)), trust_(folder.trust()) {}

void Updater::load() {
  if (!std::filesystem::exists(folder_.state_file())) return;
  const json::value document = platform::read_json_file(folder_.state_file());
  const json::object& object = platform::as_object(document, "state.json");
  record_.state = agent_state_from(platform::require_string(object, "state", "state.json"));
  record_.attempt = platform::require_string(object, "attempt", "state.json");
  record_.previous = platform::require_int(object, "previous", "state.json");
  record_.starts = platform::require_int(object, "starts", "state.json");
  record_.code = platform::require_string(object, "code", "state.json");
  record_.reason = platform::require_string(object, "reason", "state.json");
  if (const json::value* targets = platform::find(object, "targets")) record_.targets = targets_from_json(*targets);
  if (const json::value* since = platform::find(object, "probation_since"))
    record_.probation_since = platform::parse_time(since->as_string());
  record_.courier = platform::bool_or(object, "courier", false, "state.json");
}

void Updater::save(const Record& record) {
  json::object object{{"state", to_string(record.state)}, {"attempt", record.attempt}, {"previous", record.previous},
                      {"starts", record.starts},          {"code", record.code},       {"reason", record.reason},
                      {"courier", record.courier}};
  if (record.targets) object["targets"] = to_json(*record.targets);
  if (record.probation_since) object["probation_since"] = platform::format_time(*record.probation_since);
  platform::write_json_file(folder_.state_file(), object);
}

// The state counts once it is on disk.
void Updater::enter(AgentEvent event, const std::string& code, const std::string& reason) {
  Record next = record_;
  next.state = next_state(record_.state, event);
  if (!code.empty()) {
    next.code = code;
    next.reason = reason;
  }
  if (next.state == AgentState::kIdle) next = Record{};
  save(next);
  record_ = std::move(next);
  waits_for_.clear();
  if (options_.on_state) options_.on_state(record_.state, "saved");
  if (record_.state != AgentState::kIdle) tell_progress();
}

void Updater::fail(AgentEvent event, const std::string& code, const std::string& reason) {
  options_.log.error("update failed", {{"state", to_string(record_.state)}, {"code", code}, {"reason", reason}});
  enter(event, code, reason);
}

void Updater::tell(const std::string& execution, const std::string& finished) {
  const std::string state(to_string(record_.state));
  peer_.report({record_.attempt + "/" + state + "/" + finished, record_.targets->deployment, record_.targets->version,
                state, execution, finished, record_.code, record_.reason});
}

// What happens on the way is for people to see; an update does not depend on it.
void Updater::tell_progress() {
  try {
    tell("proceeding", "none");
  } catch (const Error& error) {
    options_.log.warning("the server will not hear of this state",
                         {{"state", to_string(record_.state)}, {"reason", error.what()}});
  }
}

void Updater::wait_for(const std::string& reason) {
  if (!std::exchange(waits_for_, reason).empty()) return;
  options_.log.warning("update waits", {{"state", to_string(record_.state)}, {"reason", reason}});
  const std::string state(to_string(record_.state));
  try {
    peer_.report({platform::new_uuid(), record_.targets->deployment, record_.targets->version, state, "proceeding",
                  "none", "", "waits: " + reason});
  } catch (const Error& error) {
    options_.log.warning("the server will not hear why", {{"reason", error.what()}});
  }
}

// Why there is no model now; empty if there is one, or if there is none to load.
std::string Updater::restore_current() {
  try {
    slot_.restore(folder_.current());
    return {};
  } catch (const std::exception& failure) {
    // The program goes on without a model, so that the next update can still reach it.
    options_.log.error("the current version does not load", {{"reason", failure.what()}});
    slot_.restore(std::nullopt);
    return failure.what();
  }
}

void Updater::resume() {
  load();
  if (record_.state == AgentState::kIdle) {
    restore_current();
    return;
  }
  ++record_.starts;
  try {
    settle();
  } catch (const std::exception& failure) {
    options_.log.error("the start cannot be stored; tried again", {{"reason", failure.what()}});
    unsettled_ = true;
    restore_current();
  }
}

void Updater::settle() {
  const AgentState before = record_.state;
  const bool at_first = record_.previous == 0 && record_.starts <= kMostStarts;
  const AgentEvent event = at_first ? AgentEvent::kRestartedAtFirst : AgentEvent::kRestarted;
  const AgentState after = next_state(before, event);
  if (after == AgentState::kRollingBack && before != after)
    fail(event, "interrupted", "the machine or the program stopped while " + std::string(to_string(before)));
  else
    enter(event);
  unsettled_ = false;
  // Whoever asks after a start gets an answer: going back, or forward again, is not left for later.
  if (after == AgentState::kRollingBack || after == AgentState::kActivating)
    step();
  else
    restore_current();
}

void Updater::refuse(const Offer& offer, const std::string& code, const std::string& reason) {
  options_.log.error("bundle refused", {{"deployment", offer.deployment}, {"code", code}, {"reason", reason}});
  peer_.report({platform::new_uuid(), offer.deployment, 0, std::string(to_string(AgentState::kIdle)), "closed",
                "failure", code, reason});
}

bool Updater::offer(const Offer& offer) {
  if (record_.state != AgentState::kIdle) return false;
  try {
    Targets targets = trust_.accept(offer.timestamp, offer.targets, clock_.now());
    if (targets.deployment != offer.deployment)
      throw Error(ErrorCode::kCorrupt, "the bundle belongs to deployment " + targets.deployment);
    if (!selects(targets.selector, options_.name, options_.labels))
      throw Error(ErrorCode::kConflict, "the bundle is for \"" + targets.selector + "\", which this agent is not");
    const std::optional<Release> current = folder_.current();
    record_ = Record{};
    record_.attempt = platform::new_uuid();
    record_.targets = std::move(targets);
    record_.previous = current ? current->targets.version : 0;
    record_.courier = offer.courier;
  } catch (const Error& error) {
    if (offer.courier || platform::retryable(error.code())) throw;
    refuse(offer, error.path() == kOlderTargets ? "older" : "refused", error.what());
    return false;
  }
  if (record_.previous == record_.targets->version && !damaged_current()) {
    record_ = Record{};
    return false;
  }
  enter(AgentEvent::kOffered);
  return true;
}

// The version on offer is here: tells the server whether it answers. True if its files are damaged; then they are
// thrown away, so that the version can come anew.
bool Updater::damaged_current() {
  const std::string trouble = restore_current();
  if (trouble.empty()) {
    tell("closed", "success");
    return false;
  }
  const auto whole = [&](const auto& file) {
    try {
      folder_.blobs().verify(file.second.digest, file.second.size);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  const auto& files = record_.targets->files;
  if (std::count_if(files.begin(), files.end(), whole) == static_cast<std::ptrdiff_t>(files.size())) {
    record_.code = "failed";
    record_.reason = "its files are whole, but it does not load: " + trouble;
    tell("closed", "failure");
    return false;
  }
  folder_.switch_to_none();
  std::set<std::int64_t> kept = folder_.versions();
  kept.erase(record_.targets->version);
  folder_.prune(kept);
  record_.previous = 0;
  return true;
}

bool Updater::abandonable() const {
  return record_.state != AgentState::kIdle && record_.state != AgentState::kCommitted &&
         record_.state != AgentState::kRollingBack;
}

bool Updater::step() {
  if (record_.state == AgentState::kIdle) return false;
  try {
    if (unsettled_) settle();
    return record_.state != AgentState::kIdle && advance();
  } catch (const std::exception& failure) {
    options_.log.error("state will be tried again", {{"state", to_string(record_.state)}, {"reason", failure.what()}});
    return false;
  }
}

bool Updater::advance() {
  if (abandonable() && !record_.courier && !peer_.still_wanted(record_.targets->deployment)) {
    fail(AgentEvent::kWithdrawn, "withdrawn", "the server took the deployment back");
    return true;
  }
  try {
    if (act() == Outcome::kWait) return false;
  } catch (const std::exception& failure) {
    if (!abandonable()) throw;
    fail(AgentEvent::kFailed, code_of(failure), failure.what());
    return true;
  }
  if (options_.on_state) options_.on_state(record_.state, "done");
  enter(AgentEvent::kDone);
  return true;
}

Updater::Outcome Updater::act() {
  switch (record_.state) {
    case AgentState::kIdle: return Outcome::kWait;
    case AgentState::kDownloading: return download();
    case AgentState::kVerifying: return verify();
    case AgentState::kStaging: return stage();
    case AgentState::kActivating: return activate();
    case AgentState::kProbation: return probation();
    case AgentState::kCommitted: return commit();
    case AgentState::kRollingBack: return roll_back();
  }
  return Outcome::kWait;
}

Updater::Outcome Updater::download() {
  for (const auto& [path, file] : record_.targets->files) {
    if (folder_.blobs().has(file.digest)) continue;
    try {
      fetch(file);
    } catch (const Error& error) {
      if (!may_pass(error.code())) throw;
      if (error.code() != ErrorCode::kCancelled) wait_for(path + ": " + error.what());
      return Outcome::kWait;
    }
  }
  return Outcome::kDone;
}

// Bytes of an earlier try may be at fault where the whole is wrong: then once more, from the first byte.
void Updater::fetch(const TargetFile& file) {
  const std::filesystem::path partial = folder_.blobs().partial(file.digest);
  const bool resumed = std::filesystem::exists(partial);
  try {
    if (resumed && std::filesystem::file_size(partial) > file.size)
      throw Error(ErrorCode::kCorrupt, "more bytes are here than the targets say: " + partial.string());
    peer_.download(file.digest, file.size, partial);
    folder_.blobs().admit(file.digest, file.size);
  } catch (const Error& error) {
    if (!resumed || error.code() != ErrorCode::kCorrupt) throw;
    std::filesystem::remove(partial);
    peer_.download(file.digest, file.size, partial);
    folder_.blobs().admit(file.digest, file.size);
  }
}

Updater::Outcome Updater::verify() {
  for (const auto& [path, file] : record_.targets->files) folder_.blobs().verify(file.digest, file.size);
  return Outcome::kDone;
}

Updater::Outcome Updater::stage() {
  folder_.stage(*record_.targets);
  return Outcome::kDone;
}

Updater::Outcome Updater::activate() {
  slot_.prepare(folder_.release(record_.targets->version));
  folder_.switch_to(record_.targets->version);
  slot_.activate();
  return Outcome::kDone;
}

Updater::Outcome Updater::probation() {
  const platform::Time now = clock_.now();
  if (!record_.probation_since || now < *record_.probation_since) {  // also after the clock was set back
    record_.probation_since = now;
    save(record_);
  }
  slot_.check();
  return now - *record_.probation_since >= std::chrono::seconds(record_.targets->soak_seconds) ? Outcome::kDone
                                                                                               : Outcome::kWait;
}

Updater::Outcome Updater::commit() {
  tell("closed", "success");
  std::set<std::int64_t> kept{record_.targets->version};
  if (record_.previous != 0) kept.insert(record_.previous);
  folder_.prune(kept);
  return Outcome::kDone;
}

Updater::Outcome Updater::roll_back() {
  const std::optional<Release> current = folder_.current();
  const bool back = record_.previous != 0 && folder_.find(record_.previous);
  if (!back)
    folder_.switch_to_none();
  else if (!current || current->targets.version != record_.previous)
    folder_.switch_to(record_.previous);
  std::string trouble = restore_current();
  if (record_.previous != 0 && !back) trouble = "its files cannot be read";
  if (!trouble.empty() && record_.reason.find(trouble) == std::string::npos)
    record_.reason += "; nothing answers now, since the version before it does not load: " + trouble;
  tell("closed", "failure");
  std::set<std::int64_t> kept = folder_.versions();
  kept.erase(record_.targets->version);
  folder_.prune(kept);
  return Outcome::kDone;
}

}  // namespace deploy
