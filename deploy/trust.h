// Signed metadata (Ed25519): what a plant agent believes about a bundle. Three roles: `root` names the keys, `targets`
// names the files of one bundle and its version number, `timestamp` names the newest targets and expires soon. An
// envelope is
//   {"payload":"<canonical JSON text>","signatures":[{"key":ID,"signature":HEX}]}
// and the signature is over the payload's bytes as they stand. Checking is pure (`check_metadata`); MetadataStore keeps
// what was seen on disk, so that neither an older version (rollback), nor an expired one (freeze), nor a mixture of two
// states is ever accepted, also after a power cut. Signing: any thread. MetadataStore: one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/targets.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace deploy {

/// No document is larger.
inline constexpr std::uint64_t kMetadataLimitBytes = std::uint64_t{4} << 20;

enum class Role { kRoot, kTargets, kTimestamp };
std::string_view to_string(Role role);  // "root", "targets", "timestamp"

/// One key pair a role, made at first use in `folder` (DataFolder::keys(), mode 0700; files mode 0600).
class SigningKeys {
 public:
  /// Opens or makes the keys and `root.json`, the document to pin on every agent.
  static SigningKeys open(const std::filesystem::path& folder);

  /// The envelope of `payload`, whose "type" is the role's name, as text.
  std::string sign(Role role, const platform::json::object& payload) const;
  /// The signed root document.
  const std::string& root() const { return root_; }
  /// 64 hex digits of the role's public key; its first 16 are the key's id.
  std::string public_key(Role role) const;

 private:
  std::map<Role, std::string> seeds_;  // 32 bytes each
  std::string root_;
};

/// The targets inside a signed envelope, unchecked: for documents that one has signed or checked oneself.
/// Throws kCorrupt if it is no such envelope.
Targets targets_in(std::string_view envelope);

std::string sign_targets(const SigningKeys& keys, const Targets& targets);
/// `version` must rise with every call of one server; `valid` is how long an agent may take this for the newest state.
std::string sign_timestamp(const SigningKeys& keys, std::string_view signed_targets, std::int64_t targets_version,
                           std::int64_t version, platform::Time now, std::chrono::seconds valid);

/// What an agent has already accepted.
struct SeenMetadata {
  std::int64_t timestamp_version = 0;
  std::int64_t targets_version = 0;
  std::string targets_digest;    // of the envelope with that version
  platform::Time latest_time{};  // the clock never counts as earlier than this, so that setting it back revives nothing
  bool operator==(const SeenMetadata&) const = default;
};

struct CheckedMetadata {
  Targets targets;
  SeenMetadata seen;  // to be stored before anything is done with the targets
};

inline constexpr std::string_view kOlderTargets = "targets.version";

/// Checks `timestamp` and `targets` against the root document `root`, what was seen, and the time.
/// Throws kCorrupt (signature, format, mixture) or kConflict (older version, expired); the message says which. The
/// error's path is kOlderTargets where the targets' version is lower than one seen.
CheckedMetadata check_metadata(std::string_view root, std::string_view timestamp, std::string_view targets,
                               const SeenMetadata& seen, platform::Time now);
/// The root that follows `root`: version exactly one higher and signed by the threshold of both documents' root keys.
/// Throws kCorrupt otherwise.
void check_next_root(std::string_view root, std::string_view next);

/// The agent's memory of trust: `root.json` (pinned) and `seen.json` in one folder.
class MetadataStore {
 public:
  explicit MetadataStore(std::filesystem::path folder);
  bool pinned() const;
  /// Pins the first root. The same root again is fine; another one throws kConflict (roots change through `next_root`).
  void pin(std::string_view root);
  void next_root(std::string_view next);
  /// The document that is pinned. Throws kConflict if none is.
  std::string root() const;
  /// check_metadata against the stored state; the new state is on disk when this returns.
  Targets accept(std::string_view timestamp, std::string_view targets, platform::Time now);

 private:
  SeenMetadata read_seen() const;
  std::filesystem::path folder_;
};

}  // namespace deploy
