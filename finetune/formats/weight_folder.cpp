#include "finetune/formats/weight_folder.h"

#include <algorithm>
#include <set>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"
#include "platform/base/json.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr std::uint64_t kMaxIndexBytes = 64 << 20;
constexpr const char* kFetch = "; take the index and the shards from the same model";

void check_shard_name(const std::filesystem::path& folder, std::string_view name) {
  const bool plain = !name.empty() && name.size() < 200 && name.front() != '.' &&
                     name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
  if (!plain || !name.ends_with(".safetensors")) {
    throw Error(ErrorCode::kCorrupt, "shard name in " + (folder / kIndexFile).string() +
                                         " is not a plain .safetensors file name: '" + std::string(name.substr(0, 80)) +
                                         "'");
  }
  const std::filesystem::path path = folder / name;
  if (!std::filesystem::exists(path))
    throw Error(ErrorCode::kNotFound, "shard named by the index is missing: " + path.string() +
                                          "; fetch the model again, with all its shards");
  std::error_code ignored;
  if (std::filesystem::canonical(path, ignored).parent_path() != std::filesystem::canonical(folder, ignored)) {
    throw Error(ErrorCode::kCorrupt, "shard is a link out of its folder: " + path.string());
  }
}

}  // namespace

WeightFolder::WeightFolder(const std::filesystem::path& folder) : folder_(folder) {
  if (std::filesystem::exists(folder / kSingleFile)) {
    shards_.push_back(std::make_unique<SafetensorsFile>(folder / kSingleFile));
    for (const std::string& name : shards_.front()->names()) shard_of_.emplace(name, shards_.front().get());
    return;
  }
  if (std::filesystem::exists(folder / kIndexFile)) {
    open_shards(folder / kIndexFile);
    return;
  }
  throw Error(ErrorCode::kNotFound, "no weights in " + folder.string() + ": neither " + kSingleFile + " nor " +
                                        kIndexFile +
                                        " is there; .bin and .pt files are not read, convert them to safetensors");
}

void WeightFolder::open_shards(const std::filesystem::path& index_path) {
  const json::value document =
      platform::parse_json(platform::read_file(index_path, kMaxIndexBytes), index_path.string());
  const json::object& root = platform::as_object(document, index_path.string());
  const json::object& map = platform::as_object(platform::require(root, "weight_map", index_path.string()),
                                                index_path.string() + ": weight_map");
  std::map<std::string, const SafetensorsFile*> files;
  for (const auto& [name, value] : map) {
    if (!value.is_string())
      throw Error(ErrorCode::kCorrupt,
                  index_path.string() + ": the shard of '" + std::string(name) + "' is not a string");
    const std::string shard_name(value.get_string());
    auto& file = files[shard_name];
    if (!file) {
      check_shard_name(folder_, shard_name);
      shards_.push_back(std::make_unique<SafetensorsFile>(folder_ / shard_name));
      file = shards_.back().get();
    }
    if (!file->contains(name))
      throw Error(ErrorCode::kCorrupt,
                  "tensor '" + std::string(name) + "' is in the index, but not in " + file->path().string() + kFetch);
    shard_of_.emplace(name, file);
  }
  for (const auto& shard : shards_) {
    for (const std::string& name : shard->names()) {
      if (shard_of_[name] != shard.get()) {
        throw Error(ErrorCode::kCorrupt,
                    "tensor '" + name + "' is in " + shard->path().string() + ", the index does not say so" + kFetch);
      }
    }
  }
}

std::vector<std::string> WeightFolder::names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : shard_of_) names.push_back(name);
  return names;
}

std::vector<std::string> WeightFolder::files() const {
  std::vector<std::string> files;
  for (const auto& shard : shards_) files.push_back(shard->path().filename().string());
  if (files != std::vector<std::string>{kSingleFile}) files.emplace_back(kIndexFile);
  return files;
}

const SafetensorsFile& WeightFolder::shard(std::string_view name) const {
  const auto found = shard_of_.find(name);
  if (found != shard_of_.end()) return *found->second;
  throw Error(ErrorCode::kNotFound,
              "no tensor '" + std::string(name) + "' in " + folder_.string() + platform::did_you_mean(name, names()));
}

}  // namespace finetune
