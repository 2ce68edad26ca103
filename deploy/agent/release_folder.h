// The agent's folder and its versions:
//   trust/      pinned root and what was seen       blobs/     content-addressed files
//   releases/N/ targets.json, base/, adapter/       current -> releases/N, moved by rename only
//   state.json  the update under way                queue/     what the server has not been told yet
// A release is laid out in releases/N.new and renamed, so releases/N is always whole. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "deploy/blob_folder.h"
#include "deploy/trust.h"

namespace deploy {

/// A version that lies complete on this machine.
struct Release {
  Targets targets;
  std::filesystem::path folder;
  std::filesystem::path base() const { return folder / "base"; }
  std::filesystem::path adapter() const { return folder / "adapter"; }
};

class ReleaseFolder {
 public:
  /// Makes what is missing below `root`.
  explicit ReleaseFolder(std::filesystem::path root);

  const std::filesystem::path& root() const { return root_; }
  BlobFolder& blobs() { return blobs_; }
  std::filesystem::path trust() const { return root_ / "trust"; }
  std::filesystem::path state_file() const { return root_ / "state.json"; }
  std::filesystem::path queue() const { return root_ / "queue"; }

  /// What `current` names; nullopt before the first version, and where what it names cannot be read.
  std::optional<Release> current() const;
  /// nullopt if this version is not here, or cannot be read.
  std::optional<Release> find(std::int64_t version) const;
  /// Throws kNotFound if this version is not here.
  Release release(std::int64_t version) const;
  bool has(std::int64_t version) const;
  /// Every whole release, rising.
  std::set<std::int64_t> versions() const;
  /// Lays the release out from blobs that are all here (hard links, else copies). Nothing happens if it exists.
  Release stage(const Targets& targets);
  /// Makes `current` name this version, durably and at once.
  void switch_to(std::int64_t version);
  /// Removes `current`: there was no version before.
  void switch_to_none();
  /// Removes the other releases, those that cannot be read, and every blob that no kept release needs.
  void prune(const std::set<std::int64_t>& kept);

 private:
  std::filesystem::path folder_of(std::int64_t version) const;
  std::filesystem::path root_;
  BlobFolder blobs_;
};

}  // namespace deploy
