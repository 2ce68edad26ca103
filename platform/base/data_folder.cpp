#include "platform/base/data_folder.h"

#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"

namespace platform {
namespace {

std::vector<std::filesystem::path> base_roots(const DataFolder& data) {
  std::vector<std::filesystem::path> roots{data.bases()};
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) roots.push_back(program.parent_path().parent_path() / "share/anneal/bases");
  if (const char* source = std::getenv("ANNEAL_SOURCE"))
    roots.push_back(std::filesystem::path(source) / "finetune/bases");
  roots.push_back(std::filesystem::path(ANNEAL_SOURCE_FOLDER) / "finetune/bases");
  return roots;
}

}  // namespace

DataFolder data_folder(const std::string& given) {
  if (!given.empty()) return {std::filesystem::absolute(given)};
  if (const char* variable = std::getenv("ANNEAL_DATA"); variable != nullptr && *variable != '\0')
    return {std::filesystem::absolute(variable)};
  if (::geteuid() == 0) return {"/var/lib/anneal"};
  const char* home = std::getenv("HOME");
  if (home == nullptr)
    throw Error(ErrorCode::kInvalidInput,
                "no data folder: neither ANNEAL_DATA nor HOME is set; pass --data-folder DIR");
  return {std::filesystem::path(home) / ".local/share/anneal"};
}

void make_private(const DataFolder& data) {
  namespace fs = std::filesystem;
  std::error_code absent;
  if ((fs::status(data.root, absent).permissions() & fs::perms::sticky_bit) != fs::perms::none && !absent)
    throw Error(ErrorCode::kInvalidInput,
                "everybody may write to " + data.root.string() + "; name a data folder of its own with --data-folder");
  const fs::perms passing = fs::perms::group_exec | fs::perms::others_exec;
  for (const auto& folder : {data.root, data.blobs(), data.logs(), data.root / "work"}) {
    const bool fresh = fs::create_directories(folder);
    const bool keeps = folder == data.root && !fresh;
    fs::permissions(folder,
                    fs::perms::owner_all | (keeps ? fs::status(folder).permissions() & passing : fs::perms::none));
  }
}

namespace {

// A Hugging Face folder, or one with a GGUF file.
bool is_base(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "config.json")) return true;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".gguf") return true;
  }
  return false;
}

}  // namespace

std::filesystem::path base_folder(const DataFolder& data, const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (is_base(name)) return name;
    throw Error(ErrorCode::kNotFound,
                "no base model in the folder " + name + ": it has no config.json and no GGUF file", "base");
  }
  std::vector<std::string> known;
  for (const auto& root : base_roots(data)) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(root, ignored)) {
      if (!is_base(entry.path())) continue;
      if (entry.path().filename() == name) return entry.path();
      known.push_back(entry.path().filename().string());
    }
  }
  std::string list;
  for (const auto& each : known) list += (list.empty() ? "" : ", ") + each;
  throw Error(
      ErrorCode::kNotFound,
      "no base named '" + name + "'" + did_you_mean(name, known) + "; there are: " + (list.empty() ? "none" : list),
      "base");
}

}  // namespace platform
