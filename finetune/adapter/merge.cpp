#include "finetune/adapter/merge.h"

#include <map>

#include "finetune/adapter/adapter_folder.h"
#include "finetune/adapter/loaded_adapter.h"
#include "finetune/formats/weight_folder.h"
#include "finetune/model/gguf_weights.h"
#include "platform/base/file.h"

namespace finetune {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

namespace {

// What belongs to a model besides its weights: shape, tokenizer, templates, generation defaults, licence.
bool belongs_to_model(const std::string& name) {
  for (const char* known : {"config.json", "added_tokens.json", "special_tokens_map.json", "vocab.json", "merges.txt",
                            "spiece.model", "preprocessor_config.json"}) {
    if (name == known) return true;
  }
  for (const char* start : {"tokenizer", "chat_template", "generation_config", "LICENSE", "NOTICE"}) {
    if (name.starts_with(start)) return true;
  }
  return false;
}

void check_output(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder)) return;
  if (std::filesystem::is_directory(folder) && std::filesystem::is_empty(folder)) return;
  throw Error(ErrorCode::kConflict, "the output is there and is not empty: " + folder.string() + "; give a new folder",
              "out");
}

void check_is_plain(const AdapterParts& parts) {
  if (!parts.encoder && !parts.head) return;
  throw Error(ErrorCode::kInvalidInput,
              "this adapter has a sensor encoder or a head, which a plain model cannot hold; serve it as an adapter");
}

// Every tensor of the base's files; the adapted ones from `merged`, rounded once to the type they are stored in.
void write_weights(const std::filesystem::path& base_folder, const std::map<std::string, const Tensor*>& merged,
                   const std::filesystem::path& file) {
  const WeightFolder stored(base_folder);
  std::map<std::string, Tensor> tensors;
  std::map<std::string, const Tensor*> pointers;
  for (const std::string& name : stored.names()) {
    Tensor tensor = stored.read(name);
    if (const auto found = merged.find(name); found != merged.end()) tensor = found->second->cast_to(tensor.type());
    check_finite(name, tensor);
    pointers[name] = &tensors.emplace(name, std::move(tensor)).first->second;
  }
  write_safetensors(file, pointers);
}

void copy_other_files(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && belongs_to_model(name))
      platform::write_file_atomically(to / name, platform::read_file(entry.path()));
  }
}

}  // namespace

void merge_adapter(const MergeRequest& request) {
  const std::filesystem::path output = plain_folder(request.output_folder, "out");
  check_output(output);
  if (gguf_of_base(request.base_folder))
    throw Error(ErrorCode::kInvalidInput,
                "an adapter is merged into a folder of safetensors, not into a GGUF file; merge there and export that",
                "base");
  const auto stage = [&](std::string_view name) {
    if (request.on_stage) request.on_stage(name);
  };
  stage("reading and checking base and adapter");
  kernels::Context context = kernels::Context::cpu(request.threads);
  LoadedAdapter loaded = load_adapter(context, request.base_folder, request.adapter_folder);
  check_is_plain(*loaded.parts);
  stage("adding the adapter to the weights");
  // Whatever the base was held in, the sum goes to its own weights.
  if (loaded.manifest.base_dtype != to_string(WeightPrecision::kFloat32))
    loaded.base->weights = load_weights(request.base_folder, loaded.base->config, WeightPrecision::kFloat32);
  loaded.parts->lora.merge_into(context, loaded.base->weights);
  std::map<std::string, const Tensor*> merged;
  for (std::size_t layer = 0; layer < loaded.base->weights.layers.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const LinearWeight& weight = loaded.base->weights.layers[layer].linears[index_of(kind)];
      if (loaded.parts->lora.adapts(layer, kind)) merged[weight.name] = &weight.value;
    }
  }
  stage("writing the merged model");
  std::filesystem::create_directories(output.parent_path());
  const platform::TemporaryFolder fresh(output.parent_path(), "." + output.filename().string());
  std::filesystem::permissions(fresh.path(), std::filesystem::perms(0755));
  write_weights(request.base_folder, merged, fresh.path() / "model.safetensors");
  copy_other_files(request.base_folder, fresh.path());
  platform::replace_folder(fresh.path(), output);
}

}  // namespace finetune
