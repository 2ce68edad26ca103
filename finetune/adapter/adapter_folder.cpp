#include "finetune/adapter/adapter_folder.h"

#include <algorithm>
#include <iterator>

#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace finetune {

using platform::Error;
using platform::ErrorCode;

namespace {

constexpr const char* kParts[] = {"adapter_config.json", "adapter_model.safetensors", "sensor.safetensors",
                                  kMemoryName};

// What a write that was cut off can have left: our own files and their temporary forms, and nothing else.
bool is_ours(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  const auto is = [&](const std::string& known) { return name == known || name.starts_with("." + known + "."); };
  return is("anneal.json") || std::any_of(std::begin(kParts), std::end(kParts), is);
}

std::filesystem::path fresh_folder_beside(const std::filesystem::path& folder) {
  const std::filesystem::path fresh = folder.parent_path() / ("." + folder.filename().string() + ".new");
  std::filesystem::create_directories(fresh);
  for (const auto& entry : std::filesystem::directory_iterator(fresh)) {
    if (!is_ours(entry.path())) {
      throw Error(ErrorCode::kConflict, "the adapter is written to " + fresh.string() + " first, but that holds " +
                                            entry.path().filename().string() + ", which is not ours; move it away");
    }
    std::filesystem::remove(entry.path());
  }
  return fresh;
}

}  // namespace

std::filesystem::path plain_folder(const std::filesystem::path& folder, const std::string& option) {
  if (folder.empty()) throw Error(ErrorCode::kInvalidInput, "no folder is given for " + option, option);
  const std::filesystem::path normal = std::filesystem::absolute(folder).lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

void check_adapter_place(const std::filesystem::path& folder) {
  if (std::filesystem::is_symlink(folder) && !std::filesystem::exists(folder))
    throw Error(
        ErrorCode::kConflict,
        "the output is a link that leads nowhere: " + folder.string() + "; remove it, " + "or make the folder it names",
        "out");
  if (!std::filesystem::exists(folder)) return;
  if (std::filesystem::is_directory(folder) &&
      (std::filesystem::is_empty(folder) || std::filesystem::exists(folder / "anneal.json"))) {
    return;
  }
  throw Error(ErrorCode::kConflict,
              "the output is there and is no adapter (it has no anneal.json): " + folder.string() +
                  "; give a new folder, nothing was changed",
              "out");
}

std::string write_adapter(const std::filesystem::path& folder, AdapterParts& parts, Manifest manifest) {
  check_adapter_place(folder);
  const std::filesystem::path fresh = fresh_folder_beside(folder);
  parts.save(fresh);
  manifest.files.clear();
  for (const char* name : kParts) {
    if (std::filesystem::exists(fresh / name)) manifest.files[name] = platform::digest_of_file(fresh / name);
  }
  platform::write_json_file(fresh / "anneal.json", to_json(manifest));
  platform::replace_folder(fresh, folder);
  return adapter_digest(folder);
}

}  // namespace finetune
