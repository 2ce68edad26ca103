#include "web/api/file_access.h"

#include <algorithm>

#include "platform/base/error.h"
#include "platform/engine/expression.h"

namespace web {

namespace fs = std::filesystem;
namespace json = platform::json;
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

bool is_path(const std::string& profile) {
  return profile.find('/') != std::string::npos || profile.ends_with(".yaml");
}

// Texts anywhere in `value`.
void each_text(const json::value& value, const std::function<void(const std::string&)>& take) {
  if (value.is_string()) take(std::string(value.get_string()));
  if (value.is_array())
    for (const json::value& item : value.get_array()) each_text(item, take);
  if (value.is_object())
    for (const auto& pair : value.get_object()) each_text(pair.value(), take);
}

// What `value` will be when the step runs; only the inputs are known now.
json::value known_now(const json::value& value, const platform::Run& run, const std::string& field) {
  each_text(value, [&](const std::string& text) {
    for (const platform::Reference& reference : platform::find_references(text)) {
      if (reference.kind == platform::Reference::Kind::kStepOutput)
        throw Error(
            ErrorCode::kForbidden,
            "the path of a file cannot be the output of a step: " + text + "; name the file, or an input that does",
            field);
    }
  });
  return platform::resolve(value, run);
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
  if (is_path(profile)) check(profile, field);
}

void FileAccess::check(const platform::Source& source) const {
  check_profile(source.profile, "profile");
  if (source.connector != "file") return;
  const fs::path path = platform::require_string(source.settings, "path", "settings");
  refuse_no_path(path, "settings.path");
  if (!allows_real(real(path))) refuse(path, "settings.path");
}

void FileAccess::check(const platform::Run& run) const {
  for (const platform::RunStep& step : run.steps) {
    if (step.definition.kind != "dataset.snapshot") continue;
    const json::object& with = step.definition.with;
    const std::string where = "steps." + step.definition.name + ".with.";
    if (const json::value* files = platform::find(with, "files"))
      each_text(known_now(*files, run, where + "files"),
                [&](const std::string& path) { check(path, where + "files"); });
    const json::value* profile = platform::find(with, "profile");
    if (profile == nullptr || !profile->is_string()) continue;
    const json::value named = known_now(*profile, run, where + "profile");
    if (named.is_string()) check_profile(std::string(named.get_string()), where + "profile");
  }
}

}  // namespace web
