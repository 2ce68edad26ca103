#include "deploy/trust.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "platform/base/digest.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace deploy {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr std::array kRoles{Role::kRoot, Role::kTargets, Role::kTimestamp};

void start_sodium() {
  if (sodium_init() < 0) throw Error(ErrorCode::kInternal, "libsodium does not start");
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

// Exactly `size` bytes from lower-case hex, or an empty string.
std::string from_hex(std::string_view text, std::size_t size) {
  if (text.size() != 2 * size) return {};
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    int value = 0;
    for (const char digit : text.substr(i, 2)) {
      if (digit >= '0' && digit <= '9')
        value = value * 16 + (digit - '0');
      else if (digit >= 'a' && digit <= 'f')
        value = value * 16 + (digit - 'a' + 10);
      else
        return {};
    }
    bytes += static_cast<char>(value);
  }
  return bytes;
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

struct KeyPair {
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> public_key{};
  std::array<unsigned char, crypto_sign_SECRETKEYBYTES> secret_key{};
  KeyPair(const KeyPair&) = delete;
  explicit KeyPair(const std::string& seed) {
    crypto_sign_seed_keypair(public_key.data(), secret_key.data(), bytes_of(seed));
  }
  ~KeyPair() { sodium_memzero(secret_key.data(), secret_key.size()); }
  std::string public_hex() const {
    return to_hex({reinterpret_cast<const char*>(public_key.data()), public_key.size()});
  }
};

std::string key_id(const std::string& public_hex) { return public_hex.substr(0, 16); }

[[noreturn]] void corrupt(std::string_view what, std::string_view why) {
  throw Error(ErrorCode::kCorrupt, std::string(what) + " metadata is refused: " + std::string(why));
}

// Format errors of a signed document are corruption, whatever the reader calls them.
template <class Function>
auto as_corrupt(std::string_view what, Function&& function) {
  try {
    return function();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCorrupt) throw;
    corrupt(what, error.what());
  }
}

struct RoleKeys {
  std::map<std::string, std::string> keys;  // id -> public key, 32 bytes
  std::int64_t threshold = 1;
};

struct Root {
  std::int64_t version = 0;
  std::map<Role, RoleKeys> roles;
};

struct Envelope {
  std::string payload;
  std::vector<std::pair<std::string, std::string>> signatures;  // key id, 64 bytes
};

Envelope parse_envelope(std::string_view text, std::string_view what) {
  if (text.size() > kMetadataLimitBytes) corrupt(what, "it is larger than 4 MiB");
  return as_corrupt(what, [&] {
    const json::value document = platform::parse_json(text, what);
    const json::object& object = platform::as_object(document, what);
    platform::refuse_unknown_keys(object, {"payload", "signatures"}, what);
    Envelope envelope{platform::require_string(object, "payload", what), {}};
    for (const json::value& entry : platform::as_array(platform::require(object, "signatures", what), what)) {
      const json::object& signature = platform::as_object(entry, what);
      platform::refuse_unknown_keys(signature, {"key", "signature"}, what);
      const std::string bytes = from_hex(platform::require_string(signature, "signature", what), crypto_sign_BYTES);
      if (bytes.empty()) corrupt(what, "a signature is not 128 hex digits");
      envelope.signatures.emplace_back(platform::require_string(signature, "key", what), bytes);
    }
    return envelope;
  });
}

// The payload as JSON once enough different keys of the role have signed its bytes.
json::object verified_payload(const Envelope& envelope, Role role, const RoleKeys& allowed) {
  start_sodium();
  std::set<std::string> valid;
  for (const auto& [id, signature] : envelope.signatures) {
    const auto key = allowed.keys.find(id);
    if (key == allowed.keys.end()) continue;
    if (crypto_sign_verify_detached(bytes_of(signature), bytes_of(envelope.payload), envelope.payload.size(),
                                    bytes_of(key->second)) == 0)
      valid.insert(id);
  }
  const std::string_view what = to_string(role);
  if (static_cast<std::int64_t>(valid.size()) < allowed.threshold)
    corrupt(what, "the signature does not verify with the pinned keys");
  return as_corrupt(what, [&] {
    const json::value payload = platform::parse_json(envelope.payload, what);
    const json::object& object = platform::as_object(payload, what);
    if (platform::require_string(object, "type", what) != what) corrupt(what, "it is a document of another role");
    return object;
  });
}

RoleKeys role_keys(const json::object& entry, std::string_view what) {
  RoleKeys role;
  role.threshold = platform::require_int(entry, "threshold", what);
  for (const json::value& key : platform::as_array(platform::require(entry, "keys", what), what)) {
    if (!key.is_string()) corrupt(what, "a key is no text");
    const std::string hex(key.as_string());
    const std::string bytes = from_hex(hex, crypto_sign_PUBLICKEYBYTES);
    if (bytes.empty()) corrupt(what, "a key is not 64 hex digits");
    role.keys[key_id(hex)] = bytes;
  }
  if (role.threshold < 1 || role.threshold > static_cast<std::int64_t>(role.keys.size()))
    corrupt(what, "the threshold cannot be met");
  return role;
}

Root read_root(const json::object& payload) {
  constexpr std::string_view kWhat = "root";
  return as_corrupt(kWhat, [&] {
    platform::refuse_unknown_keys(payload, {"type", "version", "roles"}, kWhat);
    Root root;
    root.version = platform::require_int(payload, "version", kWhat);
    const json::object& roles = platform::as_object(platform::require(payload, "roles", kWhat), kWhat);
    for (const Role role : kRoles)
      root.roles[role] = role_keys(platform::as_object(platform::require(roles, to_string(role), kWhat), kWhat), kWhat);
    return root;
  });
}

// A root document vouches for itself: it is pinned, so its own keys are the ones to check with.
Root self_signed_root(std::string_view text) {
  const Envelope envelope = parse_envelope(text, "root");
  const json::value unchecked = as_corrupt("root", [&] { return platform::parse_json(envelope.payload, "root"); });
  const Root claimed = read_root(as_corrupt("root", [&] { return platform::as_object(unchecked, "root"); }));
  return read_root(verified_payload(envelope, Role::kRoot, claimed.roles.at(Role::kRoot)));
}

std::string signed_envelope(const std::string& seed, const std::string& payload) {
  const KeyPair pair(seed);
  std::array<char, crypto_sign_BYTES> signature{};
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr, bytes_of(payload), payload.size(),
                       pair.secret_key.data());
  json::object entry{{"key", key_id(pair.public_hex())}, {"signature", to_hex({signature.data(), signature.size()})}};
  return platform::canonical_json(json::object{{"payload", payload}, {"signatures", json::array{std::move(entry)}}});
}

std::string open_seed(const std::filesystem::path& file) {
  if (std::filesystem::exists(file)) {
    const std::string seed =
        from_hex(platform::read_file(file, 1024).substr(0, 2 * crypto_sign_SEEDBYTES), crypto_sign_SEEDBYTES);
    if (seed.empty())
      throw Error(ErrorCode::kCorrupt, "not a signing key: " + file.string() + "; restore it from the backup");
    return seed;
  }
  std::string seed(crypto_sign_SEEDBYTES, '\0');
  randombytes_buf(seed.data(), seed.size());
  platform::write_file_atomically(file, to_hex(seed) + "\n", 0600);
  return seed;
}

platform::Time parse_seen_time(const json::object& object) {
  return platform::parse_time(platform::require_string(object, "latest_time", "seen.json"));
}

}  // namespace

std::string_view to_string(Role role) {
  constexpr std::array<std::string_view, 3> kNames{"root", "targets", "timestamp"};
  return kNames[static_cast<std::size_t>(role)];
}

SigningKeys SigningKeys::open(const std::filesystem::path& folder) {
  start_sodium();
  std::filesystem::create_directories(folder);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  SigningKeys keys;
  for (const Role role : kRoles) keys.seeds_[role] = open_seed(folder / (std::string(to_string(role)) + ".key"));
  const std::filesystem::path root_file = folder / "root.json";
  if (!std::filesystem::exists(root_file)) {
    json::object roles;
    for (const Role role : kRoles)
      roles[to_string(role)] =
          json::object{{"keys", json::array{json::string(keys.public_key(role))}}, {"threshold", 1}};
    platform::write_file_atomically(
        root_file, keys.sign(Role::kRoot, {{"type", "root"}, {"version", 1}, {"roles", std::move(roles)}}));
  }
  keys.root_ = platform::read_file(root_file, kMetadataLimitBytes);
  const Root root = self_signed_root(keys.root_);
  for (const Role role : kRoles)
    if (!root.roles.at(role).keys.contains(key_id(keys.public_key(role))))
      throw Error(ErrorCode::kCorrupt, "root.json does not name the " + std::string(to_string(role)) +
                                           " key beside it: " + folder.string() +
                                           "; restore the folder from the backup");
  return keys;
}

std::string SigningKeys::sign(Role role, const json::object& payload) const {
  return signed_envelope(seeds_.at(role), platform::canonical_json(payload));
}

std::string SigningKeys::public_key(Role role) const { return KeyPair(seeds_.at(role)).public_hex(); }

Targets targets_in(std::string_view envelope) {
  constexpr std::string_view kWhat = "targets";
  return as_corrupt(
      kWhat, [&] { return targets_from_json(platform::parse_json(parse_envelope(envelope, kWhat).payload, kWhat)); });
}

std::string sign_targets(const SigningKeys& keys, const Targets& targets) {
  return keys.sign(Role::kTargets, to_json(targets));
}

std::string sign_timestamp(const SigningKeys& keys, std::string_view signed_targets, std::int64_t targets_version,
                           std::int64_t version, platform::Time now, std::chrono::seconds valid) {
  return keys.sign(Role::kTimestamp, {{"type", "timestamp"},
                                      {"version", version},
                                      {"issued", platform::format_time(now)},
                                      {"expires", platform::format_time(now + valid)},
                                      {"targets", json::object{{"version", targets_version},
                                                               {"digest", platform::digest_of(signed_targets)},
                                                               {"size", signed_targets.size()}}}});
}

namespace {

struct Timestamp {
  std::int64_t version = 0;
  platform::Time issued{}, expires{};
  std::int64_t targets_version = 0;
  std::string targets_digest;
  std::int64_t targets_size = 0;
};

Timestamp read_timestamp(const json::object& payload) {
  constexpr std::string_view kWhat = "timestamp";
  return as_corrupt(kWhat, [&] {
    platform::refuse_unknown_keys(payload, {"type", "version", "issued", "expires", "targets"}, kWhat);
    const json::object& targets = platform::as_object(platform::require(payload, "targets", kWhat), kWhat);
    platform::refuse_unknown_keys(targets, {"version", "digest", "size"}, kWhat);
    Timestamp timestamp;
    timestamp.version = platform::require_int(payload, "version", kWhat);
    timestamp.issued = platform::parse_time(platform::require_string(payload, "issued", kWhat));
    timestamp.expires = platform::parse_time(platform::require_string(payload, "expires", kWhat));
    timestamp.targets_version = platform::require_int(targets, "version", kWhat);
    timestamp.targets_digest = platform::require_string(targets, "digest", kWhat);
    timestamp.targets_size = platform::require_int(targets, "size", kWhat);
    return timestamp;
  });
}

[[noreturn]] void older(std::string_view what, std::int64_t offered, std::int64_t seen) {
  throw Error(ErrorCode::kConflict,
              std::string(what) + " version " + std::to_string(offered) + " is older than version " +
                  std::to_string(seen) + " seen before; an earlier model comes back only under a new, higher number",
              std::string(what) + ".version");
}

}  // namespace

CheckedMetadata check_metadata(std::string_view root_text, std::string_view timestamp_text,
                               std::string_view targets_text, const SeenMetadata& seen, platform::Time now) {
  const Root root = self_signed_root(root_text);
  const Timestamp timestamp = read_timestamp(
      verified_payload(parse_envelope(timestamp_text, "timestamp"), Role::kTimestamp, root.roles.at(Role::kTimestamp)));
  if (timestamp.version < seen.timestamp_version) older("timestamp", timestamp.version, seen.timestamp_version);
  const platform::Time latest = std::max(now, seen.latest_time);
  if (timestamp.expires <= latest)
    throw Error(ErrorCode::kConflict, "timestamp metadata expired at " + platform::format_time(timestamp.expires) +
                                          ", now is " + platform::format_time(latest) +
                                          "; fetch it again or check this machine's clock");
  if (timestamp.targets_version < seen.targets_version)
    older("targets", timestamp.targets_version, seen.targets_version);
  if (static_cast<std::uint64_t>(timestamp.targets_size) != targets_text.size() ||
      timestamp.targets_digest != platform::digest_of(targets_text))
    corrupt("targets", "the timestamp names another document; the two do not belong together");
  const Targets targets = targets_from_json(
      verified_payload(parse_envelope(targets_text, "targets"), Role::kTargets, root.roles.at(Role::kTargets)));
  if (targets.version != timestamp.targets_version)
    corrupt("targets", "its version is not the one that the timestamp names");
  if (targets.version == seen.targets_version && !seen.targets_digest.empty() &&
      seen.targets_digest != timestamp.targets_digest)
    corrupt("targets", "version " + std::to_string(targets.version) + " was seen before with other content");
  return {targets, {timestamp.version, targets.version, timestamp.targets_digest, latest}};
}

void check_next_root(std::string_view root_text, std::string_view next_text) {
  const Root root = self_signed_root(root_text);
  const Root next = self_signed_root(next_text);
  verified_payload(parse_envelope(next_text, "root"), Role::kRoot, root.roles.at(Role::kRoot));
  if (next.version != root.version + 1)
    corrupt("root",
            "version " + std::to_string(next.version) + " does not follow version " + std::to_string(root.version));
}

MetadataStore::MetadataStore(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
}

bool MetadataStore::pinned() const { return std::filesystem::exists(folder_ / "root.json"); }

void MetadataStore::pin(std::string_view root) {
  self_signed_root(root);
  if (!pinned()) return platform::write_file_atomically(folder_ / "root.json", root);
  if (platform::read_file(folder_ / "root.json", kMetadataLimitBytes) != root)
    throw Error(ErrorCode::kConflict, "another root is pinned already: " + (folder_ / "root.json").string() +
                                          "; a server's root changes only by a document that the old keys signed");
}

void MetadataStore::next_root(std::string_view next) {
  check_next_root(platform::read_file(folder_ / "root.json", kMetadataLimitBytes), next);
  platform::write_file_atomically(folder_ / "root.json", next);
}

SeenMetadata MetadataStore::read_seen() const {
  const std::filesystem::path file = folder_ / "seen.json";
  if (!std::filesystem::exists(file)) return {};
  const json::value document = platform::read_json_file(file);
  const json::object& object = platform::as_object(document, "seen.json");
  return {platform::require_int(object, "timestamp_version", "seen.json"),
          platform::require_int(object, "targets_version", "seen.json"),
          platform::require_string(object, "targets_digest", "seen.json"), parse_seen_time(object)};
}

std::string MetadataStore::root() const {
  if (!pinned())
    throw Error(ErrorCode::kConflict, "no root is pinned; give the agent the server's root.json with --root");
  return platform::read_file(folder_ / "root.json", kMetadataLimitBytes);
}

Targets MetadataStore::accept(std::string_view timestamp, std::string_view targets, platform::Time now) {
  CheckedMetadata checked = check_metadata(root(), timestamp, targets, read_seen(), now);
  platform::write_json_file(folder_ / "seen.json",
                            json::object{{"timestamp_version", checked.seen.timestamp_version},
                                         {"targets_version", checked.seen.targets_version},
                                         {"targets_digest", checked.seen.targets_digest},
                                         {"latest_time", platform::format_time(checked.seen.latest_time)}});
  return std::move(checked.targets);
}

}  // namespace deploy
