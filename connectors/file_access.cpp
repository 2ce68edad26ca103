#include "connectors/file_access.h"

#include <algorithm>

#include "connectors/profiles.h"
#include "platform/base/error.h"
#include "platform/base/json.h"

namespace connectors {

namespace fs = std::filesystem;
using platform::Error;
using platform::ErrorCode;

namespace {

// Links followed, also those of a path whose end does not exist yet.
fs::path real(const fs::path& path) {
  std::error_code failed;
  const fs::path whole = fs::absolute(path, failed);
  const fs::path found = failed ? whole : fs::weakly_canonical(whole, failed);
  if (failed)
    throw Error(ErrorCode::kInvalidInput, "the path cannot be followed: " + path.string() + ": " + failed.message());
  return found;
}

// `folder` itself counts. Both canonical.
bool below(const fs::path& path, const fs::path& folder) {
  auto step = path.begin();
  for (const fs::path& name : folder) {
    if (name.empty()) continue;  // behind a last slash
    if (step == path.end() || *step != name) return false;
    ++step;
  }
  return true;
}

void refuse_no_path(const fs::path& path, const std::string& field) {
  if (path.empty() || path.native().find('\0') != std::string::npos)
    throw Error(ErrorCode::kInvalidInput, "the path of a file is empty or holds a NUL; name a file or a folder", field);
}

}  // namespace

FileAccess::FileAccess(std::vector<fs::path> folders, const platform::DataFolder& data)
    : data_(real(data.root)), folders_(std::move(folders)) {
  if (folders_.empty()) folders_.push_back(data.root / "inbox");
  for (const fs::path& own :
       {data.token(), data.keys(), data.postgres(), data.blobs(), data.logs(), data.root / "work"}) {
    for (const fs::path& folder : folders_) {
      if (below(real(folder), real(own)) || real(folder) == data_)
        throw Error(ErrorCode::kInvalidInput,
                    "people cannot be given the server's own folder " + folder.string() + "; name another one",
                    "files-from");
    }
  }
  folders_.push_back(data.root / "profiles");
}

bool FileAccess::within(const fs::path& file, const fs::path& folder) const {
  const fs::path allowed = real(folder);
  return below(file, allowed) && (!below(file, data_) || below(allowed, data_));
}

bool FileAccess::allows_real(const fs::path& file) const {
  return std::any_of(folders_.begin(), folders_.end(), [&](const fs::path& folder) { return within(file, folder); });
}

FileRule FileAccess::rule() const {
  return [access = *this](const fs::path& real) { return access.allows_real(real); };
}

bool FileAccess::allows(const fs::path& path) const {
  const fs::path file = real(path);
  const bool found = allows_real(file);
  std::error_code ignored;
  if (!found || !fs::is_directory(file, ignored)) return found;
  for (const auto& entry : fs::directory_iterator(file, ignored)) {
    if (entry.is_symlink() && !entry.is_directory(ignored) && !allows(entry.path())) return false;
  }
  return true;
}

void FileAccess::check(const fs::path& path, const std::string& field) const {
  refuse_no_path(path, field);
  if (!allows(path)) refuse(path, field);
}

void FileAccess::refuse(const fs::path& path, const std::string& field) const {
  std::string listed;
  for (const fs::path& folder : folders_) listed += (listed.empty() ? "" : ", ") + folder.string();
  throw Error(ErrorCode::kForbidden,
              "the server may not read " + path.string() + "; put the file below a folder that it may read (" + listed +
                  "), or have its administrator start it with --files-from DIR",
              field);
}

void FileAccess::check_profile(const std::string& profile, const std::string& field) const {
  if (is_profile_path(profile)) check(profile, field);
}

void FileAccess::check(const platform::Source& source) const {
  check_profile(source.profile, "profile");
  if (source.connector != "file") return;
  const fs::path path = platform::require_string(source.settings, "path", "settings");
  refuse_no_path(path, "settings.path");
  if (!allows_real(real(path))) refuse(path, "settings.path");
}

}  // namespace connectors
