#include "finetune/train/checkpoint.h"

#include "finetune/formats/safetensors.h"

namespace finetune {

namespace json = platform::json;

void save_checkpoint(const std::filesystem::path& file, const std::map<std::string, const kernels::Tensor*>& tensors,
                     const json::object& state) {
  write_safetensors(file, tensors, {{"state", platform::canonical_json(state)}});
}

std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& file, std::string_view request) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const SafetensorsFile stored(file);
  const auto state = stored.metadata().find("state");
  if (state == stored.metadata().end()) {
    throw platform::Error(platform::ErrorCode::kCorrupt,
                          "not a checkpoint of ours: " + file.string() + "; remove it to start again");
  }
  Checkpoint checkpoint;
  checkpoint.state = platform::as_object(platform::parse_json(state->second, "checkpoint"), "checkpoint");
  if (platform::require_string(checkpoint.state, "request", "checkpoint") != request) {
    throw platform::Error(platform::ErrorCode::kConflict,
                          "the checkpoint belongs to another run (data, base or settings differ): " + file.string() +
                              "; remove it or give another folder");
  }
  for (const std::string& name : stored.names()) checkpoint.tensors.emplace(name, stored.read(name));
  return checkpoint;
}

}  // namespace finetune
