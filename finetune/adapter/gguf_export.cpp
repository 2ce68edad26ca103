#include "finetune/adapter/gguf_export.h"

#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>

#include "finetune/adapter/adapter_folder.h"
#include "finetune/adapter/loaded_adapter.h"
#include "finetune/formats/gguf_tokenizer.h"
#include "finetune/model/gguf_weights.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;
using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

struct ExportType {
  std::string_view name;
  GgufType type;
  std::uint32_t file_type;  // general.file_type
};
constexpr std::array<ExportType, 6> kTypes{{{"f32", GgufType::kF32, 0},
                                            {"f16", GgufType::kF16, 1},
                                            {"bf16", GgufType::kBF16, 32},
                                            {"q8_0", GgufType::kQ8_0, 7},
                                            {"q4_0", GgufType::kQ4_0, 2},
                                            {"q4_k", GgufType::kQ4_K, 14}}};

const ExportType& type_of(std::string_view name) {
  for (const ExportType& type : kTypes) {
    if (type.name == name) return type;
  }
  throw Error(ErrorCode::kInvalidInput,
              "type is not known: \"" + std::string(name) + "\"; known: f32, f16, bf16, q8_0, q4_0, q4_k", "type");
}

// The type asked for, or the nearest one whose blocks the rows fill.
GgufType fitting(GgufType asked, std::int64_t row) {
  for (const GgufType type : {asked, GgufType::kQ8_0}) {
    if (row % gguf_layout(type).block_elements == 0) return type;
  }
  return GgufType::kF16;
}

void begin(const GgufExportRequest& request, std::string_view stage) {
  if (request.on_stage) request.on_stage(stage);
}

// A GGUF file may be replaced, but not the one that is read, and nothing else.
void check_output_file(const GgufExportRequest& request) {
  const std::filesystem::path& file = request.output_file;
  if (!std::filesystem::exists(file)) return;
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::kConflict, "the output " + file.string() + " is there and " + why + "; give another file",
                "out");
  };
  if (!std::filesystem::is_regular_file(file)) refuse("is no file");
  std::error_code absent;
  if (std::filesystem::equivalent(file, request.base_folder, absent)) refuse("is the base itself");
  std::string magic(4, '\0');
  std::ifstream(file, std::ios::binary).read(magic.data(), 4);
  if (std::filesystem::file_size(file) > 0 && magic != "GGUF") refuse("is no GGUF file");
}

std::string text_or_nothing(const std::filesystem::path& file) {
  return std::filesystem::exists(file) ? platform::read_file(file) : std::string();
}

TokenizerDocuments documents_of(const std::filesystem::path& base) {
  if (const auto gguf = gguf_of_base(base)) return tokenizer_documents(GgufFile(*gguf));
  if (!std::filesystem::exists(base / "tokenizer.json"))
    throw Error(ErrorCode::kInvalidInput,
                "the tokenizer of " + base.string() + " is written to GGUF from a tokenizer.json, which is not there");
  return {platform::read_file(base / "tokenizer.json"), text_or_nothing(base / "tokenizer_config.json")};
}

// chat_template.jinja, else tokenizer_config.json's own, else the default of its list.
std::string chat_template_of(const std::filesystem::path& base, const std::string& config_json) {
  if (std::string text = text_or_nothing(base / "chat_template.jinja"); !text.empty()) return text;
  if (config_json.empty()) return {};
  const json::value document = platform::parse_json(config_json, "tokenizer_config.json");
  const json::value* found = platform::find(platform::as_object(document, "tokenizer_config.json"), "chat_template");
  if (found == nullptr) return {};
  if (found->is_string()) return std::string(found->get_string());
  for (const json::value& each : platform::as_array(*found, "chat_template")) {
    const json::object& named = platform::as_object(each, "chat_template");
    if (platform::string_or(named, "name", "", "chat_template") == "default")
      return platform::require_string(named, "template", "chat_template");
  }
  return {};
}

GgufMetadata model_metadata(const GgufExportRequest& request, const ModelConfig& config,
                            const GgufArchitecture& architecture, const ExportType& type) {
  const std::filesystem::path folder = plain_folder(request.base_folder, "base");
  GgufMetadata metadata = gguf_model_metadata(config, architecture, folder.stem().string());
  metadata.emplace_back("general.file_type", type.file_type);
  metadata.emplace_back("general.quantization_version", std::uint32_t{2});
  const TokenizerDocuments documents = documents_of(request.base_folder);
  for (auto& pair : gguf_tokenizer_metadata(documents, chat_template_of(request.base_folder, documents.config_json),
                                            config.vocab_size, request.pre_tokenizer))
    metadata.push_back(std::move(pair));
  return metadata;
}

// What a folder with anneal.json holds, checked in full, or a folder that PEFT wrote.
PeftAdapter stored_adapter(kernels::Context& context, const GgufExportRequest& request,
                           const std::filesystem::path& adapter) {
  if (!std::filesystem::exists(adapter / "anneal.json")) return read_peft_adapter(adapter);
  LoadedAdapter loaded = load_adapter(context, request.base_folder, adapter);
  if (loaded.parts->encoder || loaded.parts->head)
    throw Error(ErrorCode::kInvalidInput,
                "a GGUF adapter cannot hold a sensor encoder or a head; serve it with anneal");
  return loaded.parts->adapter.to_peft();
}

void check_plain(const PeftAdapter& adapter) {
  const auto refuse = [](const std::string& what, const char* instead) {
    throw Error(ErrorCode::kInvalidInput, "a GGUF adapter cannot hold " + what + "; " + instead);
  };
  const char* merged = "merge the adapter (anneal merge) and export the merged base";
  const PeftConfig& config = adapter.config;
  if (config.type == PeftType::kBottleneck) refuse("a bottleneck", "serve it with anneal");
  if (config.type != PeftType::kLora) refuse("factors (IA3)", merged);
  if (config.lora_bias) refuse("a bias on B", "serve it with anneal");
  if (config.use_dora) refuse("DoRA", merged);
  if (!config.modules_to_save.empty()) refuse("modules_to_save", merged);
  if (!config.trainable_token_indices.empty()) refuse("trained token rows", merged);
}

// Where a module's weight stands in the file. Throws kCorrupt where it is not a linear layer of the base, or has other
// sizes.
const GgufPlace& place_of(const std::string& module, const PeftModule& stored, const WeightSource& base,
                          const std::map<std::string, GgufPlace>& places) {
  const auto place = places.find(module + ".weight");
  if (place == places.end() || stored.a.count() == 0 || stored.b.count() == 0)
    throw Error(ErrorCode::kInvalidInput, "a GGUF adapter cannot hold what is trained of " + module +
                                              "; merge the adapter (anneal merge) and export the merged base");
  const kernels::Shape shape = base.info(place->first).shape;
  if (shape.size() == 2 && shape[0] == stored.b.size(0) && shape[1] == stored.a.size(1)) return place->second;
  throw Error(ErrorCode::kCorrupt, "the adapter is for another base: " + module + " there has " +
                                       std::to_string(stored.b.size(0)) + " x " + std::to_string(stored.a.size(1)));
}

// The rows of B as the file wants them, with what this module's scale has over the file's.
Tensor file_b(const ModelConfig& config, const GgufArchitecture& architecture, const GgufPlace& place,
              const Tensor& own, double scaling, double alpha) {
  Tensor b = own.clone();
  const double theirs = alpha / static_cast<double>(b.size(1));
  const auto factor = static_cast<float>(scaling / theirs);
  if (std::abs(factor - 1.0f) > 1e-6f) {
    for (float& value : b.values<float>()) value *= factor;
  }
  to_gguf_layout(config, architecture, place.role, b);
  return b;
}

std::map<std::string, GgufPlace> places_by_name(const ModelConfig& config) {
  std::map<std::string, GgufPlace> places;
  for (GgufPlace& place : gguf_places(config)) places.emplace(place.name, place);
  return places;
}

}  // namespace

GgufExportResult export_gguf_base(const GgufExportRequest& request) {
  const ExportType& type = type_of(request.type);
  check_output_file(request);
  begin(request, "reading and checking the base");
  const ModelConfig config = read_base_config(request.base_folder);
  const GgufArchitecture& architecture = gguf_architecture(config.model_type);
  check_gguf_can_hold(config, architecture);
  const GgufMetadata metadata = model_metadata(request, config, architecture, type);
  const std::unique_ptr<WeightSource> weights = open_weights(request.base_folder, config);
  GgufExportResult result{.architecture = std::string(architecture.name),
                          .context = gguf_context(config, architecture),
                          .full_context = config.max_positions};
  std::vector<GgufStreamedTensor> tensors;
  for (const GgufPlace& place : gguf_places(config)) {
    const kernels::Shape shape = weights->info(place.name).shape;
    const GgufType fit = shape.size() < 2 ? GgufType::kF32 : fitting(type.type, shape.back());
    if (shape.size() > 1 && fit != type.type) ++result.other_type;
    tensors.push_back({place.gguf, fit, shape, [&, place] {
                         Tensor values = weights->read_finite(place.name, kernels::DataType::kFloat32);
                         to_gguf_layout(config, architecture, place.role, values);
                         return values;
                       }});
  }
  if (gguf_divisors(config))
    tensors.push_back(
        {"rope_freqs.weight", GgufType::kF32, {config.head_dim / 2}, [&] { return *gguf_divisors(config); }});
  result.tensors = static_cast<std::int64_t>(tensors.size());
  begin(request, "writing " + std::to_string(tensors.size()) + " tensors");
  write_gguf(request.output_file, metadata, tensors, request.on_tensor);
  return result;
}

GgufExportResult export_gguf_adapter(const GgufExportRequest& request, const std::filesystem::path& adapter_folder) {
  check_output_file(request);
  const ExportType& type = type_of(request.type);
  if (type.type != GgufType::kF32 && type.type != GgufType::kF16)
    throw Error(ErrorCode::kInvalidInput, "an adapter is written as f32 or f16, not as " + request.type, "type");
  begin(request, "reading and checking base and adapter");
  kernels::Context context = kernels::Context::cpu(request.threads);
  const ModelConfig config = read_base_config(request.base_folder);
  const PeftAdapter adapter = stored_adapter(context, request, adapter_folder);
  check_plain(adapter);
  const GgufArchitecture& architecture = gguf_architecture(config.model_type);
  check_gguf_can_hold(config, architecture);
  // llama.cpp divides by the rank of each pair; the configuration's own pair of alpha and rank scales exactly.
  const PeftConfig& settings = adapter.config;
  const double rank = settings.r;
  const double alpha = settings.use_rslora ? settings.lora_alpha * std::sqrt(rank) : settings.lora_alpha;
  const std::map<std::string, GgufPlace> places = places_by_name(config);
  std::vector<GgufStreamedTensor> tensors;
  const std::unique_ptr<WeightSource> weights = open_weights(request.base_folder, config);
  for (const auto& [name, module] : adapter.modules) {
    const GgufPlace& place = place_of(name, module, *weights, places);
    const double scaling = settings.scaling_of(name);
    tensors.push_back({place.gguf + ".lora_a", type.type, module.a.shape(), [&a = module.a] { return a.view(); }});
    tensors.push_back({place.gguf + ".lora_b", type.type, module.b.shape(),
                       [&, &b = module.b, scaling] { return file_b(config, architecture, place, b, scaling, alpha); }});
  }
  const GgufMetadata metadata{{"general.architecture", std::string(architecture.name)},
                              {"general.type", std::string("adapter")},
                              {"general.name", plain_folder(adapter_folder, "adapter").filename().string()},
                              {"general.file_type", type.file_type},
                              {"adapter.type", std::string("lora")},
                              {"adapter.lora.alpha", static_cast<float>(alpha)}};
  begin(request, "writing " + std::to_string(tensors.size()) + " tensors");
  write_gguf(request.output_file, metadata, tensors, request.on_tensor);
  return {.architecture = std::string(architecture.name), .tensors = static_cast<std::int64_t>(tensors.size())};
}

namespace {

void check_for_vllm(const PeftAdapter& adapter) {
  // Bottlenecks stand behind a non-linearity: no weight of the base is theirs to be merged into.
  const char* instead = adapter.config.type == PeftType::kBottleneck ? "serve it with anneal"
                                                                     : "merge the adapter (anneal merge) instead";
  const auto refuse = [instead](const std::string& what) {
    throw Error(ErrorCode::kInvalidInput, "vLLM does not serve " + what + "; " + instead, "for");
  };
  if (adapter.config.type != PeftType::kLora) refuse(std::string(to_string(adapter.config.type)) + " adapters");
  if (adapter.config.use_dora) refuse("DoRA");
  if (adapter.config.lora_bias) refuse("a bias on B");
  if (!adapter.config.rank_pattern.empty() || !adapter.config.alpha_pattern.empty())
    refuse("an adapter with several ranks or alphas");
  if (!adapter.config.modules_to_save.empty()) refuse("modules_to_save");
  if (!adapter.config.trainable_token_indices.empty()) refuse("trained token rows");
}

}  // namespace

void export_peft_adapter(const std::filesystem::path& adapter_folder, const std::filesystem::path& output_folder,
                         std::string_view engine) {
  if (!engine.empty() && engine != "vllm")
    throw Error(ErrorCode::kInvalidInput, "engine is not known: \"" + std::string(engine) + "\"; known: vllm", "for");
  const PeftAdapter adapter = read_peft_adapter(adapter_folder);
  if (engine == "vllm") check_for_vllm(adapter);
  if (std::filesystem::exists(adapter_folder / "sensor.safetensors"))
    throw Error(ErrorCode::kInvalidInput,
                "this adapter has a sensor encoder or a head, which PEFT files cannot hold; serve it with anneal");
  const std::filesystem::path output = plain_folder(output_folder, "out");
  if (std::filesystem::exists(output) && !std::filesystem::is_empty(output))
    throw Error(ErrorCode::kConflict,
                "the output is there and is not empty: " + output.string() + "; give a new folder", "out");
  std::filesystem::create_directories(output);
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    platform::write_file_atomically(output / name, platform::read_file(adapter_folder / name));
}

}  // namespace finetune
