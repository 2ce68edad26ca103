#include "finetune/formats/peft.h"

#include "finetune/formats/safetensors.h"
#include "kernels/core/error.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kWeightsFile = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kEndA = ".lora_A.weight";
constexpr std::string_view kEndB = ".lora_B.weight";
constexpr std::uint64_t kMaxConfigBytes = 1 << 20;

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(ErrorCode::kCorrupt, std::string(kWeightsFile) + ": " + what + "; export the adapter again");
}

// "base_model.model.X.lora_A.weight" -> X, and which of the two it is.
std::pair<std::string, bool> module_of(std::string_view name) {
  const bool is_a = name.ends_with(kEndA);
  if (!name.starts_with(kPrefix) || !(is_a || name.ends_with(kEndB))) {
    throw Error(
        ErrorCode::kInvalidInput,
        std::string(kWeightsFile) + " holds '" + std::string(name) +
            "', which is not a LoRA matrix of a linear layer; only lora_A.weight and lora_B.weight are supported");
  }
  return {std::string(name.substr(kPrefix.size(), name.size() - kPrefix.size() - kEndA.size())), is_a};
}

void check_module(const std::string& module, const LoraWeights& weights, const LoraConfig& config) {
  const auto text = [](const kernels::Tensor& tensor) { return kernels::shape_to_string(tensor.shape()); };
  if (weights.a.rank() != 2 || weights.b.rank() != 2)
    corrupt("'" + module + "' needs lora_A and lora_B with two dimensions each, they are " + text(weights.a) + " and " +
            text(weights.b));
  const int rank = config.rank_of(module);
  if (weights.a.size(0) != rank || weights.b.size(1) != rank) {
    corrupt("'" + module + "' has the shapes " + text(weights.a) + " and " + text(weights.b) +
            ", the configuration says rank " + std::to_string(rank));
  }
  if (!config.targets(module)) corrupt("'" + module + "' is not among the configuration's target_modules");
}

}  // namespace

PeftAdapter read_peft_adapter(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / kConfigFile))
    throw Error(ErrorCode::kNotFound, "no adapter in " + folder.string() + ": " + kConfigFile + " is missing");
  if (!std::filesystem::exists(folder / kWeightsFile)) {
    throw Error(ErrorCode::kNotFound, "no adapter weights in " + folder.string() + ": " + kWeightsFile +
                                          " is missing; .bin files are not read");
  }
  PeftAdapter adapter;
  adapter.config = lora_config_from_json(platform::parse_json(
      platform::read_file(folder / kConfigFile, kMaxConfigBytes), (folder / kConfigFile).string()));
  const SafetensorsFile file(folder / kWeightsFile);
  for (const std::string& name : file.names()) {
    const auto [module, is_a] = module_of(name);
    kernels::Tensor tensor = file.read_finite(name, kernels::DataType::kFloat32);
    LoraWeights& weights = adapter.modules[module];
    (is_a ? weights.a : weights.b) = std::move(tensor);
  }
  if (adapter.modules.empty()) corrupt("it holds no LoRA matrix");
  for (const auto& [module, weights] : adapter.modules) check_module(module, weights, adapter.config);
  return adapter;
}

void write_peft_adapter(
    const std::filesystem::path& folder, const LoraConfig& config,
    const std::map<std::string, std::pair<const kernels::Tensor*, const kernels::Tensor*>>& modules) {
  config.validate();
  std::map<std::string, const kernels::Tensor*> tensors;
  for (const auto& [module, pair] : modules) {
    tensors[std::string(kPrefix) + module + std::string(kEndA)] = pair.first;
    tensors[std::string(kPrefix) + module + std::string(kEndB)] = pair.second;
  }
  for (const auto& [name, tensor] : tensors) check_finite(name, *tensor);
  std::filesystem::create_directories(folder);
  write_safetensors(folder / kWeightsFile, tensors);
  platform::write_file_atomically(folder / kConfigFile, platform::pretty_json(to_json(config)));
}

void write_peft_adapter(const std::filesystem::path& folder, const PeftAdapter& adapter) {
  std::map<std::string, std::pair<const kernels::Tensor*, const kernels::Tensor*>> modules;
  for (const auto& [module, weights] : adapter.modules) modules[module] = {&weights.a, &weights.b};
  write_peft_adapter(folder, adapter.config, modules);
}

}  // namespace finetune
