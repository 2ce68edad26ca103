// Targets: what one bundle holds, under which paths, and whom it is for. The signed document of the role `targets` is
// this as JSON (see trust.h and bundle_format.md). Plain values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "platform/base/json.h"

namespace deploy {

struct TargetFile {
  std::string digest;  // "sha256:..."
  std::uint64_t size = 0;
  bool operator==(const TargetFile&) const = default;
};

/// One bundle: the files of an adapter (below "adapter/") and of its base (below "base/"), and whom it is for.
struct Targets {
  std::int64_t version = 0;  // rises with every bundle that a server signs
  std::string deployment;    // id on the server
  std::string model;
  std::string model_version;
  std::string adapter_digest;
  std::string base_digest;
  std::string selector;  // "line=3"; an agent whose labels do not match refuses the bundle
  std::int64_t soak_seconds = 0;
  std::map<std::string, TargetFile> files;  // relative path -> content
};

platform::json::object to_json(const Targets& targets);
/// Throws kCorrupt for a path that leaves the bundle, a malformed digest or an unknown key.
Targets targets_from_json(const platform::json::value& value);

}  // namespace deploy
