#include "finetune/adapter/merge.h"

#include <map>

#include "finetune/adapter/adapter_folder.h"
#include "finetune/adapter/loaded_adapter.h"
#include "finetune/adapter/probe.h"
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

void check_is_plain(const Manifest& manifest) {
  if (manifest.task == Task::kLanguageModel && manifest.sensors.is_null()) return;
  throw Error(ErrorCode::kInvalidInput,
              "this adapter has a sensor encoder or a head, which a plain model cannot hold; serve it as an adapter");
}

// The changed weights in float32; one in 4 or 8 bits as it is restored in use.
std::map<std::string, Tensor> changed_values(kernels::Context& context, ModelWeights& weights,
                                             const MergedWeights& merged) {
  std::map<std::string, Tensor> values;
  weights.for_each([&](Weight& weight) {
    if (merged.changed.contains(weight.name)) values[weight.name] = weight.value.view();
  });
  for (const LayerWeights& layer : weights.layers) {
    for (const LinearWeight& linear : layer.linears) {
      if (linear.packed.is_quantised() && merged.changed.contains(linear.name))
        values[linear.name] = linear.dense(context);
    }
  }
  return values;
}

// Every tensor of the base's files; the changed ones rounded once to the type they are stored in.
void write_weights(const std::filesystem::path& base_folder, const std::map<std::string, Tensor>& changed,
                   const std::string& embedding, const std::filesystem::path& file, MergedWeights& merged) {
  const WeightFolder stored(base_folder);
  std::map<std::string, Tensor> tensors;
  for (const std::string& name : stored.names()) tensors[name] = stored.read(name);
  for (const auto& [name, exact] : changed) {
    // A head that has become a weight of its own is stored as the embedding is.
    const kernels::DataType type = tensors.at(tensors.contains(name) ? name : embedding).type();
    Tensor rounded = exact.cast_to(type);
    merged.note_error(name, relative_distance(rounded.cast_to(kernels::DataType::kFloat32),
                                              exact.cast_to(kernels::DataType::kFloat32)));
    tensors[name] = std::move(rounded);
  }
  std::map<std::string, const Tensor*> pointers;
  for (const auto& [name, tensor] : tensors) {
    check_finite(name, tensor);
    pointers[name] = &tensor;
  }
  write_safetensors(file, pointers);
}

void copy_other_files(const std::filesystem::path& from, const std::filesystem::path& to, bool untied) {
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && belongs_to_model(name))
      platform::write_file_atomically(to / name, platform::read_file(entry.path()));
  }
  if (!untied) return;
  platform::json::value config = platform::read_json_file(from / "config.json");
  config.as_object()["tie_word_embeddings"] = false;
  platform::write_json_file(to / "config.json", config);
}

void write_model(kernels::Context& context, const MergeRequest& request, const std::filesystem::path& output,
                 const ModelConfig& config, ModelWeights& weights, MergedWeights& merged) {
  std::filesystem::create_directories(output.parent_path());
  const platform::TemporaryFolder fresh(output.parent_path(), "." + output.filename().string());
  std::filesystem::permissions(fresh.path(), std::filesystem::perms(0755));
  write_weights(request.base_folder, changed_values(context, weights, merged),
                std::string(config.names.embedding) + ".weight", fresh.path() / "model.safetensors", merged);
  copy_other_files(request.base_folder, fresh.path(), merged.untied);
  platform::replace_folder(fresh.path(), output);
}

void tell(const MergeRequest& request, std::string_view stage) {
  if (request.on_stage) request.on_stage(stage);
}

void refuse_gguf(const std::filesystem::path& base) {
  if (!gguf_of_base(base)) return;
  throw Error(ErrorCode::kInvalidInput,
              "an adapter is merged into a folder of safetensors, not into a GGUF file; merge there and export that",
              "base");
}

}  // namespace

MergedWeights merge_adapter(const MergeRequest& request) {
  const std::filesystem::path output = plain_folder(request.output_folder, "out");
  check_output(output);
  refuse_gguf(request.base_folder);
  tell(request, "reading and checking base and adapter");
  kernels::Context context = kernels::Context::cpu(request.threads);
  LoadedAdapter loaded = load_adapter(context, request.base_folder, request.adapter_folder);
  check_is_plain(loaded.manifest);
  tell(request, "adding the adapter to the weights");
  // Whatever the base was held in at the training, the sum goes to its own weights, or to those asked for.
  const WeightPrecision wanted = request.few_bits.value_or(WeightPrecision::kFloat32);
  if (loaded.manifest.base_dtype != to_string(wanted))
    loaded.base->weights = load_weights(request.base_folder, loaded.base->config, wanted);
  MergedWeights merged = loaded.parts->adapter.merge_into(context, loaded.base->weights);
  tell(request, "writing the merged model");
  write_model(context, request, output, loaded.base->config, loaded.base->weights, merged);
  return merged;
}

MergedWeights unmerge_adapter(const MergeRequest& request) {
  const std::filesystem::path output = plain_folder(request.output_folder, "out");
  check_output(output);
  refuse_gguf(request.base_folder);
  tell(request, "reading and checking model and adapter");
  kernels::Context context = kernels::Context::cpu(request.threads);
  LoadedAdapter loaded = load_adapter(context, request.base_folder, std::nullopt);
  loaded.manifest = read_manifest(request.adapter_folder);
  check_is_plain(loaded.manifest);
  const Adapter adapter = Adapter::load(request.adapter_folder, loaded.base->config, loaded.base->weights);
  tell(request, "taking the adapter off the weights");
  MergedWeights merged = adapter.unmerge_from(context, loaded.base->weights);
  EncodingRules rules = loaded.rules();
  rules.max_tokens = std::min(rules.max_tokens, loaded.manifest.max_tokens);
  verify_bare(context, *loaded.model, rules, loaded.manifest.probe, kProbeTolerance16);
  tell(request, "writing the model");
  write_model(context, request, output, loaded.base->config, loaded.base->weights, merged);
  return merged;
}

}  // namespace finetune
