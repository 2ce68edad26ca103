#include "connectors/profiles.h"

#include <algorithm>
#include <set>

#include "connectors/text_file.h"
#include "platform/base/did_you_mean.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;

namespace {
constexpr std::size_t kProfileLimitBytes = 1 << 20;
}

// By name, sorted; defined in a file that CMake makes from the profiles folder.
extern const std::vector<std::pair<std::string_view, std::string_view>> kShippedProfiles;

const std::string_view* shipped_profile(std::string_view name) {
  for (const auto& [known, text] : kShippedProfiles) {
    if (known == name) return &text;
  }
  return nullptr;
}

std::vector<std::string> profile_names(const platform::DataFolder& data) {
  std::set<std::string> names;
  for (const auto& [name, text] : kShippedProfiles) names.emplace(name);
  std::error_code error;
  if (!data.root.empty()) {
    for (const auto& entry : std::filesystem::directory_iterator(data.root / "profiles", error)) {
      if (entry.path().extension() == ".yaml") names.insert(entry.path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

bool is_profile_path(const std::string& name) { return name.find('/') != std::string::npos || name.ends_with(".yaml"); }

platform::Profile load_profile(const std::string& name, const platform::DataFolder& data, const FileRule& allowed) {
  if (is_profile_path(name))
    return platform::profile_from_yaml(TextFile(name, allowed).read_whole(kProfileLimitBytes), name);
  const std::filesystem::path own = data.root / "profiles" / (name + ".yaml");
  std::error_code error;
  if (!data.root.empty() && std::filesystem::exists(own, error)) return platform::read_profile_file(own);
  if (const std::string_view* text = shipped_profile(name)) return platform::profile_from_yaml(*text, name + ".yaml");
  std::string known;
  const std::vector<std::string> names = profile_names(data);
  for (const std::string& one : names) known += (known.empty() ? "" : ", ") + one;
  throw Error(ErrorCode::kNotFound,
              "there is no profile '" + name + "'" + platform::did_you_mean(name, names) + "; known are " + known,
              "profile");
}

std::string profile_to_yaml(const platform::Profile& profile) {
  // JSON is YAML; pretty JSON keeps the order and needs no second writer.
  return platform::pretty_json(platform::to_json(profile)) + "\n";
}

}  // namespace connectors
