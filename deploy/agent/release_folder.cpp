#include "deploy/agent/release_folder.h"

#include <utility>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/json.h"

namespace deploy {
namespace {

namespace fs = std::filesystem;

void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::create_hard_link(from, to, failed);
  if (failed) fs::copy_file(from, to);  // another file system, or one without links
}

bool is_number(const std::string& name) { return name.find_first_not_of("0123456789") == std::string::npos; }

void sync_tree(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_directory()) platform::sync_folder(entry.path());
  platform::sync_folder(folder);
}

}  // namespace

ReleaseFolder::ReleaseFolder(fs::path root)
    : root_(std::move(root)), blobs_((fs::create_directories(root_), root_ / "blobs")) {
  fs::create_directories(root_ / "releases");
}

fs::path ReleaseFolder::folder_of(std::int64_t version) const { return root_ / "releases" / std::to_string(version); }

std::optional<Release> ReleaseFolder::current() const {
  std::error_code absent;
  const fs::path target = fs::read_symlink(root_ / "current", absent);
  const std::string name = target.filename().string();
  if (absent || name.empty() || !is_number(name)) return std::nullopt;
  return find(std::stoll(name));
}

std::optional<Release> ReleaseFolder::find(std::int64_t version) const {
  if (!has(version)) return std::nullopt;
  try {
    return release(version);
  } catch (const platform::Error&) {
    return std::nullopt;  // a damaged release is as good as none, so that the next version can come
  }
}

bool ReleaseFolder::has(std::int64_t version) const { return fs::exists(folder_of(version) / "targets.json"); }

std::set<std::int64_t> ReleaseFolder::versions() const {
  std::set<std::int64_t> found;
  for (const auto& entry : fs::directory_iterator(root_ / "releases"))
    if (const std::string name = entry.path().filename().string(); is_number(name)) found.insert(std::stoll(name));
  return found;
}

Release ReleaseFolder::release(std::int64_t version) const {
  const fs::path folder = folder_of(version);
  if (!has(version))
    throw platform::Error(platform::ErrorCode::kNotFound, "release is not on this machine: " + folder.string());
  return {targets_from_json(platform::read_json_file(folder / "targets.json")), folder};
}

Release ReleaseFolder::stage(const Targets& targets) {
  if (has(targets.version)) return release(targets.version);
  const fs::path folder = folder_of(targets.version);
  const fs::path fresh = folder.string() + ".new";
  fs::remove_all(fresh);
  fs::create_directories(fresh);
  for (const auto& [path, file] : targets.files) {
    fs::create_directories((fresh / path).parent_path());
    link_or_copy(blobs_.path(file.digest), fresh / path);
  }
  platform::write_json_file(fresh / "targets.json", to_json(targets));
  sync_tree(fresh);
  fs::rename(fresh, folder);
  platform::sync_folder(root_ / "releases");
  return {targets, folder};
}

void ReleaseFolder::switch_to(std::int64_t version) {
  const fs::path fresh = root_ / "current.new";
  fs::remove(fresh);
  fs::create_symlink(fs::path("releases") / std::to_string(version), fresh);
  fs::rename(fresh, root_ / "current");
  platform::sync_folder(root_);
}

void ReleaseFolder::switch_to_none() {
  fs::remove(root_ / "current");
  platform::sync_folder(root_);
}

void ReleaseFolder::prune(const std::set<std::int64_t>& kept) {
  std::set<std::string> digests;
  std::set<std::string> names;
  for (const std::int64_t version : kept) {
    const auto whole = find(version);
    if (!whole) continue;
    names.insert(std::to_string(version));
    for (const auto& [path, file] : whole->targets.files) digests.insert(file.digest);
  }
  for (const auto& entry : fs::directory_iterator(root_ / "releases")) {
    const std::string name = entry.path().filename().string();
    if (names.contains(name)) continue;
    const bool number = is_number(name);
    // Renamed first, so that a release is never half there under its own name.
    const fs::path doomed = number ? fs::path(entry.path().string() + ".old") : entry.path();
    if (number) fs::rename(entry.path(), doomed);
    fs::remove_all(doomed);
  }
  blobs_.keep_only(digests);
}

}  // namespace deploy
