#include "finetune/model/lora.h"

#include <cmath>
#include <map>

#include "kernels/ops/matmul.h"

namespace finetune {
namespace {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

LinearAdapter make_adapter(const std::string& module, const LoraConfig& config, LoraWeights weights) {
  LinearAdapter adapter;
  adapter.a.name = module + ".lora_A";
  adapter.b.name = module + ".lora_B";
  adapter.b_bias.name = module + ".lora_B.bias";
  adapter.magnitude.name = module + ".lora_magnitude_vector";
  adapter.a.value = std::move(weights.a);
  adapter.b.value = std::move(weights.b);
  adapter.b_bias.value = std::move(weights.b_bias);
  adapter.magnitude.value = std::move(weights.magnitude);
  adapter.scaling = static_cast<float>(config.scaling_of(module));
  adapter.dropout = static_cast<float>(config.lora_dropout);
  return adapter;
}

Tensor uniform_a(std::int64_t rank, std::int64_t inputs, kernels::Random& random) {
  Tensor a({rank, inputs});
  const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
  for (float& value : a.values<float>()) value = static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
  return a;
}

Tensor row_norms(const Tensor& matrix) {
  const Tensor wide = matrix.cast_to(kernels::DataType::kFloat32);
  const std::int64_t rows = wide.size(0), columns = wide.size(1);
  Tensor norms({rows});
  for (std::int64_t j = 0; j < rows; ++j) {
    double square = 0;
    for (std::int64_t i = 0; i < columns; ++i) {
      const double value = static_cast<double>(wide.data<float>()[j * columns + i]);
      square += value * value;
    }
    norms.data<float>()[j] = static_cast<float>(std::sqrt(square));
  }
  return norms;
}

// value = [m / norm] (value + s B A) in float32, then rounded to the weight's own type.
void merge(kernels::Context& context, const LinearAdapter& adapter, Tensor& value) {
  Tensor whole = value.cast_to(kernels::DataType::kFloat32);
  kernels::matmul(context, adapter.b.value, adapter.a.value, whole, {.alpha = adapter.scaling, .beta = 1.0f});
  if (adapter.magnitude.present()) {
    const Tensor norms = row_norms(whole);
    const std::int64_t columns = whole.size(1);
    for (std::int64_t j = 0; j < whole.size(0); ++j) {
      const float factor = adapter.magnitude.value.data<float>()[j] / norms.data<float>()[j];
      for (std::int64_t i = 0; i < columns; ++i) whole.data<float>()[j * columns + i] *= factor;
    }
  }
  value.copy_from(whole.cast_to(value.type()));
}

// As PEFT does when it saves: other tools know names better than "all-linear".
void name_every_linear(const ModelConfig& model, LoraConfig& config) {
  config.target_pattern.clear();
  for (const std::string_view linear : model.names.linears)
    config.target_modules.emplace_back(linear.substr(linear.rfind('.') + 1));
}

const Tensor* or_null(const Weight& weight) { return weight.present() ? &weight.value : nullptr; }

template <typename Adapters, typename Visit>
void for_each_adapter(Adapters& adapters, Visit&& visit) {
  for (std::size_t layer = 0; layer < adapters.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      auto& adapter = adapters[layer][index_of(kind)];
      if (adapter) visit(layer, kind, *adapter);
    }
  }
}

}  // namespace

Lora::Lora(const ModelConfig& model, const ModelWeights& weights, LoraConfig config, kernels::Random& random)
    : config_(std::move(config)), model_(model) {
  config_.validate();
  if (config_.target_pattern == "all-linear") name_every_linear(model, config_);
  adapters_.resize(static_cast<std::size_t>(model.layer_count));
  kernels::Context context = kernels::Context::cpu(1);
  bool any = false;
  for (std::size_t layer = 0; layer < adapters_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const std::string module = model.names.linear(static_cast<std::int64_t>(layer), kind);
      if (!config_.targets(module)) continue;
      const std::int64_t rank = config_.rank_of(module), out = model.out_features(kind);
      LoraWeights fresh;
      fresh.a = uniform_a(rank, model.in_features(kind), random);
      fresh.b = Tensor::zeros({out, rank});
      if (config_.lora_bias) fresh.b_bias = Tensor::zeros({out});
      if (config_.use_dora) fresh.magnitude = row_norms(weights.layers[layer].linears[index_of(kind)].dense(context));
      adapters_[layer][index_of(kind)] = make_adapter(module, config_, std::move(fresh));
      any = true;
    }
  }
  if (!any) {
    throw Error(ErrorCode::kInvalidInput,
                "target_modules match no linear layer of this model; use names such as " +
                    std::string(model.names.linears[0]) + " or " + std::string(model.names.linears[6]),
                "target_modules");
  }
}

Lora Lora::load(const std::filesystem::path& folder, const ModelConfig& model) {
  PeftAdapter adapter = read_peft_adapter(folder);
  Lora lora;
  lora.config_ = adapter.config;
  lora.model_ = model;
  lora.adapters_.resize(static_cast<std::size_t>(model.layer_count));
  for (std::size_t layer = 0; layer < lora.adapters_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const std::string module = model.names.linear(static_cast<std::int64_t>(layer), kind);
      const auto found = adapter.modules.find(module);
      if (found == adapter.modules.end()) continue;
      if (found->second.a.size(1) != model.in_features(kind) || found->second.b.size(0) != model.out_features(kind)) {
        throw Error(ErrorCode::kCorrupt,
                    "the adapter's shape of " + module + " does not fit the base; take the base it was trained on");
      }
      lora.adapters_[layer][index_of(kind)] = make_adapter(module, adapter.config, std::move(found->second));
      adapter.modules.erase(found);
    }
  }
  if (!adapter.modules.empty()) {
    throw Error(ErrorCode::kCorrupt, "the adapter has a module that the base lacks: " + adapter.modules.begin()->first);
  }
  return lora;
}

void Lora::for_each(const std::function<void(Weight&)>& visit) {
  for_each_adapter(adapters_, [&](std::size_t, LinearKind, LinearAdapter& adapter) {
    for (Weight* weight : {&adapter.a, &adapter.b, &adapter.b_bias, &adapter.magnitude}) {
      if (weight->present()) visit(*weight);
    }
  });
}

void Lora::make_trainable() {
  for_each([](Weight& weight) { weight.gradient = Tensor::zeros(weight.value.shape()); });
}

void Lora::save(const std::filesystem::path& folder) const {
  std::map<std::string, LoraTensors> modules;
  for_each_adapter(adapters_, [&](std::size_t layer, LinearKind kind, const LinearAdapter& adapter) {
    modules[model_.names.linear(static_cast<std::int64_t>(layer), kind)] = {
        &adapter.a.value, &adapter.b.value, or_null(adapter.b_bias), or_null(adapter.magnitude)};
  });
  write_peft_adapter(folder, config_, modules);
}

void Lora::merge_into(kernels::Context& context, ModelWeights& weights) const {
  if (config_.lora_bias)
    throw Error(
        ErrorCode::kInvalidInput,
        "an adapter with lora_bias cannot be merged: the base has no place for the bias; serve it beside the base",
        "lora_bias");
  if (weights.quantised())
    throw Error(ErrorCode::kInvalidInput,
                "an adapter cannot be merged into a model that is held in 4 or 8 bits; load the base in float32");
  for_each_adapter(adapters_, [&](std::size_t layer, LinearKind kind, const LinearAdapter& adapter) {
    merge(context, adapter, weights.layers[layer].linears[index_of(kind)].value);
  });
  weights.refresh();
}

}  // namespace finetune
