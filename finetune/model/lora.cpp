#include "finetune/model/lora.h"

#include <cmath>
#include <map>

namespace finetune {
namespace {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

LoraPair make_pair(const std::string& module, Tensor a, Tensor b, double scaling) {
  LoraPair pair;
  pair.a.name = module + ".lora_A";
  pair.b.name = module + ".lora_B";
  pair.a.value = std::move(a);
  pair.b.value = std::move(b);
  pair.scaling = static_cast<float>(scaling);
  return pair;
}

Tensor uniform_a(std::int64_t rank, std::int64_t inputs, kernels::Random& random) {
  Tensor a({rank, inputs});
  const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
  for (float& value : a.values<float>()) value = static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
  return a;
}

// value += s B A in float32, then rounded to the weight's own type.
void add_product(kernels::Context& context, const LoraPair& pair, Tensor& value) {
  Tensor whole = value.cast_to(kernels::DataType::kFloat32);
  kernels::matmul(context, pair.b.value, pair.a.value, whole, {.alpha = pair.scaling, .beta = 1.0f});
  value.copy_from(whole.cast_to(value.type()));
}

}  // namespace

Lora::Lora(const ModelConfig& model, LoraConfig config, kernels::Random& random) : config_(std::move(config)) {
  config_.validate();
  layers_.resize(static_cast<std::size_t>(model.layer_count));
  bool any = false;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const std::string module = module_name(static_cast<std::int64_t>(layer), kind);
      if (!config_.targets(module)) continue;
      const std::int64_t rank = config_.rank_of(module);
      layers_[layer][index_of(kind)] =
          make_pair(module, uniform_a(rank, in_features(model, kind), random),
                    Tensor::zeros({out_features(model, kind), rank}), config_.scaling_of(module));
      any = true;
    }
  }
  if (!any) {
    throw Error(ErrorCode::kInvalidInput,
                "target_modules match no linear layer of this model; use names such as q_proj or down_proj",
                "target_modules");
  }
}

Lora Lora::load(const std::filesystem::path& folder, const ModelConfig& model) {
  PeftAdapter adapter = read_peft_adapter(folder);
  Lora lora;
  lora.config_ = adapter.config;
  lora.layers_.resize(static_cast<std::size_t>(model.layer_count));
  for (std::size_t layer = 0; layer < lora.layers_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const std::string module = module_name(static_cast<std::int64_t>(layer), kind);
      const auto found = adapter.modules.find(module);
      if (found == adapter.modules.end()) continue;
      if (found->second.a.size(1) != in_features(model, kind) || found->second.b.size(0) != out_features(model, kind)) {
        throw Error(ErrorCode::kCorrupt,
                    "the adapter's shape of " + module + " does not fit the base; take the base it was trained on");
      }
      lora.layers_[layer][index_of(kind)] =
          make_pair(module, std::move(found->second.a), std::move(found->second.b), adapter.config.scaling_of(module));
      adapter.modules.erase(found);
    }
  }
  if (!adapter.modules.empty()) {
    throw Error(ErrorCode::kCorrupt, "the adapter has a module that the base lacks: " + adapter.modules.begin()->first);
  }
  return lora;
}

const LoraPair* Lora::find(std::size_t layer, LinearKind kind) const {
  if (layer >= layers_.size()) return nullptr;
  const auto& pair = layers_[layer][index_of(kind)];
  return pair ? &*pair : nullptr;
}

LoraPair* Lora::find(std::size_t layer, LinearKind kind) {
  return const_cast<LoraPair*>(static_cast<const Lora*>(this)->find(layer, kind));
}

void Lora::for_each(const std::function<void(LoraPair&)>& visit) {
  for (Layer& layer : layers_) {
    for (auto& pair : layer) {
      if (pair) visit(*pair);
    }
  }
}

void Lora::make_trainable() {
  for_each([](LoraPair& pair) {
    pair.a.gradient = Tensor::zeros(pair.a.value.shape());
    pair.b.gradient = Tensor::zeros(pair.b.value.shape());
  });
}

void Lora::save(const std::filesystem::path& folder) const {
  std::map<std::string, std::pair<const Tensor*, const Tensor*>> modules;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const LoraPair* pair = find(layer, kind);
      if (pair != nullptr)
        modules[module_name(static_cast<std::int64_t>(layer), kind)] = {&pair->a.value, &pair->b.value};
    }
  }
  write_peft_adapter(folder, config_, modules);
}

void Lora::merge_into(kernels::Context& context, ModelWeights& weights) const {
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const LoraPair* pair = find(layer, kind);
      if (pair != nullptr) add_product(context, *pair, weights.layers[layer].linears[index_of(kind)].value);
    }
  }
  weights.refresh();
}

}  // namespace finetune
