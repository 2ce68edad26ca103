#include "finetune/model/adapter.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "finetune/model/adapter_start.h"
#include "platform/base/error.h"

namespace finetune {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

namespace {

constexpr double kBottleneckDeviation = 0.02;
constexpr const char* kOfModel = "linear layer, embedding or head of this model";
constexpr const char* kAdapted = "layer that is adapted";

Tensor filled(kernels::Shape shape, float value) {
  Tensor tensor(std::move(shape));
  for (float& element : tensor.values<float>()) element = value;
  return tensor;
}

std::string last_name(std::string_view module) { return std::string(module.substr(module.rfind('.') + 1)); }

[[noreturn]] void refuse(const std::string& setting, const std::string& message) {
  throw Error(ErrorCode::kInvalidInput, message, setting);
}

}  // namespace

// Replaces what stands for "the usual layers" by their names, as PEFT does when it saves: other tools know names better
// than "all-linear".
void Adapter::settle(const ModelConfig& model) {
  const auto name = [&](LinearKind kind) { return last_name(model.names.linears[index_of(kind)]); };
  if (config_.target_pattern == "all-linear") {
    config_.target_pattern.clear();
    for (const LinearKind kind : kLinearKinds) config_.target_modules.push_back(name(kind));
  }
  if (!config_.target_modules.empty() || !config_.target_pattern.empty()) return;
  if (config_.type == PeftType::kIa3) {
    config_.target_modules = {name(LinearKind::kKey), name(LinearKind::kValue), name(LinearKind::kDown)};
    if (config_.feedforward_modules.empty()) config_.feedforward_modules = {name(LinearKind::kDown)};
  } else {
    config_.target_modules = {name(LinearKind::kOutput), name(LinearKind::kDown)};
  }
}

Adapter::Adapter(const ModelConfig& model, const ModelWeights& weights, PeftConfig config, kernels::Random& random)
    : config_(std::move(config)), model_(model) {
  config_.validate();
  settle(model);
  refuse_idle_names();
  linears_.resize(static_cast<std::size_t>(model.layer_count));
  kernels::Context context = kernels::Context::cpu(1);
  bool any = false;
  for (std::size_t layer = 0; layer < linears_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const std::string module = model.names.linear(static_cast<std::int64_t>(layer), kind);
      if (!config_.targets(module)) continue;
      LinearAdapter& adapter = linears_[layer][index_of(kind)].emplace();
      start_linear(context, module, weights.layers[layer].linears[index_of(kind)], adapter, random);
      any = true;
    }
  }
  start_embedding(weights, random);
  start_head(context, weights, random);
  start_saved(context, weights);
  if (any || embedding_.a.present() || head_.a.present()) return;
  refuse("target_modules", "target_modules match no linear layer of this model; use names such as " +
                               std::string(model.names.linears[0]) + " or " + std::string(model.names.linears[6]));
}

// A name that is spelt otherwise in this model would change nothing, and nobody would notice.
void Adapter::refuse_idle_names() const {
  std::vector<std::string> modules{std::string(model_.names.embedding), std::string(model_.names.head)}, adapted;
  for (std::int64_t layer = 0; layer < model_.layer_count; ++layer) {
    for (const LinearKind kind : kLinearKinds) modules.push_back(model_.names.linear(layer, kind));
  }
  std::copy_if(modules.begin(), modules.end(), std::back_inserter(adapted),
               [&](const std::string& module) { return config_.targets(module); });
  const auto check = [](const char* setting, const std::string& entry, const std::vector<std::string>& among,
                        const char* what, const auto& names) {
    if (std::any_of(among.begin(), among.end(), [&](const std::string& module) { return names(entry, module); }))
      return;
    refuse(setting, std::string(setting) + " has \"" + entry + "\", which names no " + what + "; use names such as " +
                        last_name(among.empty() ? std::string("q_proj") : among.back()));
  };
  for (const std::string& name : config_.target_modules) check("target_modules", name, modules, kOfModel, names_module);
  for (const std::string& name : config_.exclude_modules)
    check("exclude_modules", name, modules, kOfModel, names_module);
  for (const std::string& name : config_.feedforward_modules)
    check("feedforward_modules", name, adapted, kAdapted, names_module);
  for (const auto& [expression, rank] : config_.rank_pattern)
    check("rank_pattern", expression, adapted, kAdapted, expression_names_module);
  for (const auto& [expression, alpha] : config_.alpha_pattern)
    check("alpha_pattern", expression, adapted, kAdapted, expression_names_module);
  for (const int layer : config_.layers_to_transform) {
    if (layer >= model_.layer_count)
      refuse("layers_to_transform", "layers_to_transform has the layer " + std::to_string(layer) +
                                        ", the model has the layers 0 to " + std::to_string(model_.layer_count - 1));
  }
}

void Adapter::start_linear(kernels::Context& context, const std::string& module, const LinearWeight& weight,
                           LinearAdapter& adapter, kernels::Random& random) {
  if (config_.saves(module))
    refuse("modules_to_save", module + " is both in target_modules and in modules_to_save; take it out of one");
  name_parts(module, adapter);
  const std::int64_t out = weight.packed.out_features(), in = weight.packed.in_features();
  if (config_.type == PeftType::kIa3) {
    adapter.factors_of_input = config_.scales_input(module);
    adapter.factors.value = filled(adapter.factors_of_input ? kernels::Shape{1, in} : kernels::Shape{out, 1}, 1.0f);
    return;
  }
  if (config_.type == PeftType::kBottleneck) {
    adapter.activation = activation_from(config_.non_linearity);
    adapter.down.value = Tensor({config_.bottleneck_size, out});
    for (float& value : adapter.down.value.values<float>())
      value = static_cast<float>(random.normal() * kBottleneckDeviation);
    adapter.down_bias.value = Tensor::zeros({config_.bottleneck_size});
    adapter.up.value = Tensor::zeros({out, config_.bottleneck_size});
    adapter.up_bias.value = Tensor::zeros({out});
    return;
  }
  adapter.scaling = static_cast<float>(config_.scaling_of(module));
  adapter.dropout = static_cast<float>(config_.lora_dropout);
  start_low_rank(
      context, config_, config_.rank_of(module), in, out,
      [&] { return weight.dense(context).cast_to(kernels::DataType::kFloat32); }, adapter, random);
  if (config_.lora_bias) adapter.b_bias.value = Tensor::zeros({out});
  if (config_.use_dora) adapter.magnitude.value = row_norms(weight.dense(context));
}

// As PEFT starts it: A zero, B normal.
void Adapter::start_embedding(const ModelWeights& weights, kernels::Random& random) {
  const std::string module(model_.names.embedding);
  const bool targeted = config_.targets(module);
  if (!config_.trainable_token_indices.empty()) {
    if (targeted || config_.targets(model_.names.head) || config_.saves(module) || config_.saves(model_.names.head))
      refuse("trainable_token_indices",
             "trainable_token_indices cannot be trained beside an embedding or head that is adapted or saved itself");
    return start_rows(weights.embedding.value);
  }
  if (!targeted) return;
  if (config_.type != PeftType::kLora || config_.use_dora || config_.pissa_iterations() >= 0)
    refuse("target_modules", "the embedding takes plain LoRA only: no IA3, bottleneck, use_dora or pissa; leave " +
                                 last_name(module) + " out");
  if (config_.saves(module))
    refuse("modules_to_save", module + " is both in target_modules and in modules_to_save; take it out of one");
  name_parts(module, embedding_);
  const std::int64_t rank = config_.rank_of(module);
  embedding_.scaling = static_cast<float>(config_.scaling_of(module));
  embedding_.a.value = Tensor::zeros({rank, model_.vocab_size});
  embedding_.b.value = Tensor({model_.hidden_size, rank});
  for (float& value : embedding_.b.value.values<float>()) value = static_cast<float>(random.normal());
}

void Adapter::start_rows(const Tensor& table) {
  name_parts(std::string(model_.names.embedding), embedding_);
  embedding_.rows.value =
      Tensor({static_cast<std::int64_t>(config_.trainable_token_indices.size()), model_.hidden_size});
  for (const int token : config_.trainable_token_indices) {
    if (token >= model_.vocab_size)
      refuse("trainable_token_indices", "trainable_token_indices has the token " + std::to_string(token) +
                                            ", the model has " + std::to_string(model_.vocab_size));
    const auto row = static_cast<std::int64_t>(embedding_.tokens.size());
    embedding_.rows.value.slice_rows(row, row + 1)
        .copy_from(table.slice_rows(token, token + 1).cast_to(kernels::DataType::kFloat32));
    embedding_.tokens.push_back(token);
  }
}

void Adapter::start_head(kernels::Context& context, const ModelWeights& weights, kernels::Random& random) {
  const std::string module(model_.names.head);
  if (!config_.targets(module)) return;
  const bool plain =
      config_.type == PeftType::kLora && !config_.use_dora && !config_.lora_bias && config_.lora_dropout == 0;
  if (!plain)
    refuse("target_modules",
           "the head takes plain LoRA only: no IA3, bottleneck, use_dora, lora_bias or dropout; leave " +
               last_name(module) + " out");
  if (config_.saves(module))
    refuse("modules_to_save", module + " is both in target_modules and in modules_to_save; take it out of one");
  name_parts(module, head_);
  head_.scaling = static_cast<float>(config_.scaling_of(module));
  if (config_.pissa_iterations() >= 0)
    refuse("init_lora_weights",
           "a pissa start is for the linear layers of the blocks; leave " + last_name(module) + " out");
  start_low_rank(
      context, config_, config_.rank_of(module), model_.hidden_size, model_.vocab_size,
      [&] { return weights.output_head().value.view(); }, head_, random);
}

void Adapter::start_saved(kernels::Context& context, const ModelWeights& weights) {
  for (const std::string& asked : config_.modules_to_save) {
    bool found = false;
    const auto take = [&](const std::string& name, const Weight& weight, const LinearWeight* linear) {
      if (!std::string_view(name).substr(0, name.rfind('.')).ends_with(asked)) return;
      found = true;
      if (saved_.find(name) == nullptr) saved_.add(context, name, weight, linear);
    };
    take(std::string(model_.names.embedding) + ".weight", weights.embedding, &weights.embedding);
    for (const LayerWeights& layer : weights.layers) {
      for (const Weight* norm : {&layer.attention_norm, &layer.attention_branch_norm, &layer.feed_forward_norm,
                                 &layer.feed_forward_branch_norm, &layer.query_norm, &layer.key_norm})
        if (norm->present()) take(norm->name, *norm, nullptr);
      for (const LinearWeight& linear : layer.linears) take(linear.name, linear, &linear);
    }
    take(weights.final_norm.name, weights.final_norm, nullptr);
    take(std::string(model_.names.head) + ".weight", weights.output_head(), &weights.output_head());
    if (!found)
      refuse("modules_to_save", "modules_to_save names \"" + asked +
                                    "\", which ends no module with weights of this model; use names such as " +
                                    std::string(model_.names.head) + ", " + last_name(model_.names.embedding) + " or " +
                                    last_name(model_.names.final_norm));
  }
}

void Adapter::for_each(const std::function<void(Weight&)>& visit) {
  const auto all = [&](LinearAdapter& adapter) {
    for (Weight* weight : {&adapter.a, &adapter.b, &adapter.b_bias, &adapter.magnitude, &adapter.factors, &adapter.down,
                           &adapter.down_bias, &adapter.up, &adapter.up_bias}) {
      if (weight->present()) visit(*weight);
    }
  };
  for (LayerAdapters& layer : linears_) {
    for (auto& adapter : layer) {
      if (adapter) all(*adapter);
    }
  }
  for (Weight* weight : {&embedding_.a, &embedding_.b, &embedding_.rows}) {
    if (weight->present()) visit(*weight);
  }
  all(head_);
  saved_.for_each(visit);
}

void Adapter::make_trainable() {
  for_each([](Weight& weight) { weight.gradient = Tensor::zeros(weight.value.shape()); });
}

}  // namespace finetune
