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
constexpr std::uint64_t kMaxConfigBytes = 1 << 20;

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(ErrorCode::kCorrupt, std::string(kWeightsFile) + ": " + what + "; export the adapter again");
}

// The tensors of a module, by the end of their names.
struct Part {
  std::string_view end;
  kernels::Tensor LoraWeights::*weight;
  const kernels::Tensor* LoraTensors::*tensor;
};
constexpr Part kParts[] = {
    {".lora_A.weight", &LoraWeights::a, &LoraTensors::a},
    {".lora_B.bias", &LoraWeights::b_bias, &LoraTensors::b_bias},
    {".lora_B.weight", &LoraWeights::b, &LoraTensors::b},
    {".lora_magnitude_vector", &LoraWeights::magnitude, &LoraTensors::magnitude},
};

// "base_model.model.X.lora_A.weight" -> X, and which part of it that is.
std::pair<std::string, const Part*> module_of(std::string_view name) {
  for (const Part& part : kParts) {
    if (!name.starts_with(kPrefix) || !name.ends_with(part.end)) continue;
    return {std::string(name.substr(kPrefix.size(), name.size() - kPrefix.size() - part.end.size())), &part};
  }
  throw Error(ErrorCode::kInvalidInput,
              std::string(kWeightsFile) + " holds '" + std::string(name) +
                  "', which is no part of a LoRA adapter of a linear layer; only lora_A.weight, lora_B.weight, "
                  "lora_B.bias and lora_magnitude_vector are supported");
}

void check_vector(const std::string& module, const kernels::Tensor& vector, bool wanted, std::int64_t size,
                  const char* what) {
  if (!wanted && vector.count() == 0) return;
  if (wanted && vector.rank() == 1 && vector.size(0) == size) return;
  corrupt("'" + module + "' has a " + what + " of shape " + kernels::shape_to_string(vector.shape()) +
          ", the configuration asks for " + (wanted ? "[" + std::to_string(size) + "]" : std::string("none")));
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
  check_vector(module, weights.b_bias, config.lora_bias, weights.b.size(0), "bias");
  check_vector(module, weights.magnitude, config.use_dora, weights.b.size(0), "magnitude");
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
    const auto [module, part] = module_of(name);
    adapter.modules[module].*(part->weight) = file.read_finite(name, kernels::DataType::kFloat32);
  }
  if (adapter.modules.empty()) corrupt("it holds no LoRA matrix");
  for (const auto& [module, weights] : adapter.modules) check_module(module, weights, adapter.config);
  return adapter;
}

void write_peft_adapter(const std::filesystem::path& folder, const LoraConfig& config,
                        const std::map<std::string, LoraTensors>& modules) {
  config.validate();
  std::map<std::string, const kernels::Tensor*> tensors;
  for (const auto& [module, parts] : modules) {
    for (const Part& part : kParts) {
      const kernels::Tensor* tensor = parts.*(part.tensor);
      if (tensor != nullptr) tensors[std::string(kPrefix) + module + std::string(part.end)] = tensor;
    }
  }
  for (const auto& [name, tensor] : tensors) check_finite(name, *tensor);
  std::filesystem::create_directories(folder);
  write_safetensors(folder / kWeightsFile, tensors);
  platform::write_file_atomically(folder / kConfigFile, platform::pretty_json(to_json(config)));
}

void write_peft_adapter(const std::filesystem::path& folder, const PeftAdapter& adapter) {
  std::map<std::string, LoraTensors> modules;
  for (const auto& [module, weights] : adapter.modules) {
    for (const Part& part : kParts) {
      const kernels::Tensor& tensor = weights.*(part.weight);
      if (tensor.count() > 0) modules[module].*(part.tensor) = &tensor;
    }
  }
  write_peft_adapter(folder, adapter.config, modules);
}

}  // namespace finetune
