#include "finetune/formats/peft.h"

#include <algorithm>

#include "finetune/formats/safetensors.h"
#include "kernels/core/error.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kWeightsFile = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kBaseLayer = ".base_layer.weight";
constexpr std::uint64_t kMaxConfigBytes = 1 << 20;

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(ErrorCode::kCorrupt, std::string(kWeightsFile) + ": " + what + "; export the adapter again");
}

// The tensors of a module, by the end of their names.
struct Part {
  std::string_view end;
  Tensor PeftModule::*tensor;
};
constexpr Part kParts[] = {
    {".adapter_down.bias", &PeftModule::down_bias},
    {".adapter_down.weight", &PeftModule::down},
    {".adapter_up.bias", &PeftModule::up_bias},
    {".adapter_up.weight", &PeftModule::up},
    {".ia3_l", &PeftModule::factors},
    {".lora_A.weight", &PeftModule::a},
    {".lora_B.bias", &PeftModule::b_bias},
    {".lora_B.weight", &PeftModule::b},
    {".lora_embedding_A", &PeftModule::embedding_a},
    {".lora_embedding_B", &PeftModule::embedding_b},
    {".lora_magnitude_vector", &PeftModule::magnitude},
    {".token_adapter.trainable_tokens_delta", &PeftModule::token_rows},
};

std::string text(const Tensor& tensor) { return kernels::shape_to_string(tensor.shape()); }

// "X.lora_A.weight" -> X and which part of it that is; null for a name of another form.
std::pair<std::string, const Part*> module_of(std::string_view name) {
  for (const Part& part : kParts) {
    if (name.ends_with(part.end)) return {std::string(name.substr(0, name.size() - part.end.size())), &part};
  }
  return {std::string(), nullptr};
}

// Where the embedding or the head is adapted, PEFT stores the base's own tables beside the adapter.
bool is_base_copy(std::string_view name, const PeftConfig& config) {
  if (name.ends_with(kBaseLayer)) return config.targets(name.substr(0, name.size() - kBaseLayer.size()));
  const bool table = name.ends_with("embed_tokens.weight") || name.ends_with("lm_head.weight");
  const auto adapts = [&](std::string_view module) {
    return std::find(config.target_modules.begin(), config.target_modules.end(), module) != config.target_modules.end();
  };
  return table && (adapts("embed_tokens") || adapts("lm_head"));
}

void sort_tensor(PeftAdapter& adapter, const std::string& stored, Tensor tensor) {
  const std::string name = stored.starts_with(kPrefix) ? stored.substr(kPrefix.size()) : std::string();
  if (const auto [module, part] = module_of(name); part != nullptr) {
    adapter.modules[module].*(part->tensor) = std::move(tensor);
    return;
  }
  const std::string module = name.substr(0, name.rfind('.') == std::string::npos ? 0 : name.rfind('.'));
  if (!module.empty() && adapter.config.saves(module) && (name.ends_with(".weight") || name.ends_with(".bias"))) {
    adapter.saved[name] = std::move(tensor);
    return;
  }
  if (is_base_copy(name, adapter.config)) {
    const bool wrapped = name.ends_with(kBaseLayer);
    adapter.base_copies[wrapped ? name.substr(0, name.size() - kBaseLayer.size()) + ".weight" : name] =
        std::move(tensor);
    return;
  }
  throw Error(ErrorCode::kInvalidInput, std::string(kWeightsFile) + " holds '" + stored +
                                            "', which is no part of an adapter as its configuration describes it; "
                                            "export it again, or name the module in modules_to_save");
}

void check_vector(const std::string& module, const Tensor& vector, bool wanted, std::int64_t size, const char* what) {
  if (!wanted && vector.count() == 0) return;
  if (wanted && vector.rank() == 1 && vector.size(0) == size) return;
  corrupt("'" + module + "' has a " + what + " of shape " + text(vector) + ", the configuration asks for " +
          (wanted ? "[" + std::to_string(size) + "]" : std::string("none")));
}

void check_pair(const std::string& module, const Tensor& a, const Tensor& b, std::int64_t inner, const char* names) {
  if (a.rank() != 2 || b.rank() != 2)
    corrupt("'" + module + "' needs " + names + " with two dimensions each, they are " + text(a) + " and " + text(b));
  if (a.size(0) == inner && b.size(1) == inner) return;
  corrupt("'" + module + "' has the shapes " + text(a) + " and " + text(b) + ", the configuration says " +
          std::to_string(inner));
}

void check_lora(const std::string& module, const PeftModule& part, const PeftConfig& config) {
  if (part.token_rows.count() > 0) {
    const auto tokens = static_cast<std::int64_t>(config.trainable_token_indices.size());
    if (part.token_rows.rank() == 2 && part.token_rows.size(0) == tokens) return;
    corrupt("'" + module + "' has token rows of shape " + text(part.token_rows) + ", the configuration lists " +
            std::to_string(tokens) + " tokens");
  }
  const bool embedding = part.embedding_a.count() + part.embedding_b.count() > 0;
  if (embedding) {
    check_pair(module, part.embedding_a, part.embedding_b, config.rank_of(module), "lora_embedding_A and B");
  } else {
    check_pair(module, part.a, part.b, config.rank_of(module), "lora_A and lora_B");
    check_vector(module, part.b_bias, config.lora_bias, part.b.size(0), "bias");
    check_vector(module, part.magnitude, config.use_dora, part.b.size(0), "magnitude");
  }
  if (!config.targets(module)) corrupt("'" + module + "' is not among the configuration's target_modules");
}

void check_factors(const std::string& module, const PeftModule& part, const PeftConfig& config) {
  const bool input = config.scales_input(module);
  const bool fits = part.factors.rank() == 2 && part.factors.size(input ? 0 : 1) == 1;
  if (!fits)
    corrupt("'" + module + "' needs factors of shape " + (input ? "[1, in]" : "[out, 1]") + ", they are " +
            text(part.factors));
  if (!config.targets(module)) corrupt("'" + module + "' is not among the configuration's target_modules");
}

void check_bottleneck(const std::string& module, const PeftModule& part, const PeftConfig& config) {
  check_pair(module, part.down, part.up, config.bottleneck_size, "adapter_down and adapter_up");
  check_vector(module, part.down_bias, true, part.down.size(0), "bias");
  check_vector(module, part.up_bias, true, part.up.size(0), "bias");
  if (!config.targets(module)) corrupt("'" + module + "' is not among the configuration's target_modules");
}

// A module is one thing: an adapted linear layer, an adapted embedding, token rows, factors or a bottleneck.
void check_is_one_thing(const std::string& module, const PeftModule& part, PeftType type) {
  const auto any = [](std::initializer_list<const Tensor*> tensors) {
    return std::any_of(tensors.begin(), tensors.end(), [](const Tensor* tensor) { return tensor->count() > 0; });
  };
  const bool linear = any({&part.a, &part.b, &part.b_bias, &part.magnitude});
  const bool embedding = any({&part.embedding_a, &part.embedding_b}), rows = any({&part.token_rows});
  const bool factors = any({&part.factors}), bottleneck = any({&part.down, &part.down_bias, &part.up, &part.up_bias});
  const bool of_type = type == PeftType::kIa3          ? factors
                       : type == PeftType::kBottleneck ? bottleneck
                                                       : linear || embedding || rows;
  if (of_type && linear + embedding + rows + factors + bottleneck == 1) return;
  corrupt("'" + module + "' has parts that do not belong together in an adapter of type " +
          std::string(to_string(type)));
}

void check_module(const std::string& module, const PeftModule& part, const PeftConfig& config) {
  check_is_one_thing(module, part, config.type);
  switch (config.type) {
    case PeftType::kIa3: return check_factors(module, part, config);
    case PeftType::kBottleneck: return check_bottleneck(module, part, config);
    case PeftType::kLora: return check_lora(module, part, config);
  }
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
  adapter.config = peft_config_from_json(platform::parse_json(
      platform::read_file(folder / kConfigFile, kMaxConfigBytes), (folder / kConfigFile).string()));
  const SafetensorsFile file(folder / kWeightsFile);
  for (const std::string& name : file.names())
    sort_tensor(adapter, name, file.read_finite(name, kernels::DataType::kFloat32));
  if (adapter.modules.empty()) corrupt("it holds no adapter of any module");
  for (const auto& [module, part] : adapter.modules) check_module(module, part, adapter.config);
  return adapter;
}

void write_peft_adapter(const std::filesystem::path& folder, const PeftAdapter& adapter) {
  adapter.config.validate();
  std::map<std::string, const Tensor*> tensors;
  for (const auto& [module, parts] : adapter.modules) {
    for (const Part& part : kParts) {
      const Tensor& tensor = parts.*(part.tensor);
      if (tensor.count() > 0) tensors[std::string(kPrefix) + module + std::string(part.end)] = &tensor;
    }
  }
  for (const auto& [name, tensor] : adapter.saved) tensors[std::string(kPrefix) + name] = &tensor;
  for (const auto& [name, tensor] : tensors) check_finite(name, *tensor);
  std::filesystem::create_directories(folder);
  write_safetensors(folder / kWeightsFile, tensors);
  platform::write_file_atomically(folder / kConfigFile, platform::pretty_json(to_json(adapter.config)));
}

}  // namespace finetune
