// An adapter from PEFT's files and back.
#include <algorithm>
#include <cmath>

#include "finetune/model/adapter.h"
#include "platform/base/error.h"

namespace finetune {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

namespace {

Tensor viewed(const Weight& weight) { return weight.present() ? weight.value.view() : Tensor(); }

Tensor joined_rows(const Tensor& first, const Tensor& second) {
  Tensor both({first.size(0) + second.size(0), first.size(1)});
  both.slice_rows(0, first.size(0)).copy_from(first);
  both.slice_rows(first.size(0), both.size(0)).copy_from(second);
  return both;
}

Tensor joined_columns(const Tensor& first, const Tensor& second, float factor) {
  const std::int64_t left = first.size(1), right = second.size(1);
  Tensor both({first.size(0), left + right});
  for (std::int64_t j = 0; j < first.size(0); ++j) {
    float* row = both.data<float>() + j * (left + right);
    std::copy_n(first.data<float>() + j * left, left, row);
    for (std::int64_t k = 0; k < right; ++k) row[left + k] = factor * second.data<float>()[j * right + k];
  }
  return both;
}

// The configuration of an adapter of twice the rank that scales as before.
PeftConfig of_twice_the_rank(PeftConfig config) {
  const double factor = config.use_rslora ? std::sqrt(2.0) : 2.0;
  config.r *= 2;
  config.lora_alpha *= factor;
  for (auto& [key, rank] : config.rank_pattern) rank *= 2;
  for (auto& [key, alpha] : config.alpha_pattern) alpha *= factor;
  config.init_lora_weights = "true";
  return config;
}

}  // namespace

Adapter Adapter::load(const std::filesystem::path& folder, const ModelConfig& model, const ModelWeights& weights) {
  PeftAdapter stored = read_peft_adapter(folder);
  Adapter adapter;
  adapter.config_ = stored.config;
  adapter.model_ = model;
  adapter.linears_.resize(static_cast<std::size_t>(model.layer_count));
  for (std::size_t layer = 0; layer < adapter.linears_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const std::string name = model.names.linear(static_cast<std::int64_t>(layer), kind);
      const auto found = stored.modules.find(name);
      if (found == stored.modules.end()) continue;
      LinearAdapter& linear = adapter.linears_[layer][index_of(kind)].emplace();
      adapter.load_linear(std::move(found->second), name, linear);
      const Tensor& first = linear.a.present() ? linear.a.value : linear.down.value;
      const bool fits =
          linear.factors.present() ? linear.factors.value.count() ==
                                         (linear.factors_of_input ? model.in_features(kind) : model.out_features(kind))
          : linear.down.present()
              ? first.size(1) == model.out_features(kind) && linear.up.value.size(0) == model.out_features(kind)
              : linear.a.present() && first.size(1) == model.in_features(kind) &&
                    linear.b.value.size(0) == model.out_features(kind);
      if (!fits)
        throw Error(ErrorCode::kCorrupt,
                    "the adapter's shape of " + name + " does not fit the base; take the base it was trained on");
      stored.modules.erase(found);
    }
  }
  adapter.load_tables(stored, weights);
  if (!stored.modules.empty())
    throw Error(ErrorCode::kCorrupt, "the adapter has a module that the base lacks: " + stored.modules.begin()->first);
  return adapter;
}

void Adapter::load_linear(PeftModule module, const std::string& name, LinearAdapter& adapter) const {
  name_parts(name, adapter);
  adapter.a.value = std::move(module.a);
  adapter.b.value = std::move(module.b);
  adapter.b_bias.value = std::move(module.b_bias);
  adapter.magnitude.value = std::move(module.magnitude);
  adapter.factors.value = std::move(module.factors);
  adapter.factors_of_input = config_.scales_input(name);
  adapter.down.value = std::move(module.down);
  adapter.down_bias.value = std::move(module.down_bias);
  adapter.up.value = std::move(module.up);
  adapter.up_bias.value = std::move(module.up_bias);
  adapter.activation = activation_from(config_.non_linearity);
  adapter.scaling = static_cast<float>(config_.scaling_of(name));
  adapter.dropout = static_cast<float>(config_.lora_dropout);
}

// Embedding, head, token rows and whole copies.
void Adapter::load_tables(PeftAdapter& stored, const ModelWeights& weights) {
  const auto check = [](bool fits, const std::string& name) {
    if (!fits)
      throw Error(ErrorCode::kCorrupt,
                  "the adapter's shape of " + name + " does not fit the base; take the base it was trained on");
  };
  const std::string embedding(model_.names.embedding), head(model_.names.head);
  if (const auto found = stored.modules.find(embedding); found != stored.modules.end()) {
    name_parts(embedding, embedding_);
    embedding_.a.value = std::move(found->second.embedding_a);
    embedding_.b.value = std::move(found->second.embedding_b);
    embedding_.rows.value = std::move(found->second.token_rows);
    embedding_.scaling = static_cast<float>(config_.scaling_of(embedding));
    check(embedding_.a.present()
              ? embedding_.a.value.size(1) == model_.vocab_size && embedding_.b.value.size(0) == model_.hidden_size
              : embedding_.rows.present() && embedding_.rows.value.size(1) == model_.hidden_size,
          embedding);
    if (embedding_.rows.present())
      embedding_.tokens.assign(config_.trainable_token_indices.begin(), config_.trainable_token_indices.end());
    for (const std::int32_t token : embedding_.tokens) check(token < model_.vocab_size, embedding);
    stored.modules.erase(found);
  }
  if (const auto found = stored.modules.find(head); found != stored.modules.end()) {
    load_linear(std::move(found->second), head, head_);
    head_.dropout = 0;  // acts in training only
    check(head_.a.present() && !head_.magnitude.present() && !head_.b_bias.present() &&
              head_.a.value.size(1) == model_.hidden_size && head_.b.value.size(0) == model_.vocab_size,
          head);
    stored.modules.erase(found);
  }
  kernels::Context context = kernels::Context::cpu(1);
  start_saved(context, weights);
  saved_.for_each([&](Weight& weight) {
    const auto found = stored.saved.find(weight.name);
    if (found == stored.saved.end())
      throw Error(ErrorCode::kCorrupt, "the adapter lacks " + weight.name + ", which its modules_to_save name");
    check(found->second.shape() == weight.value.shape(), weight.name);
    weight.value = std::move(found->second);
    stored.saved.erase(found);
  });
  if (!stored.saved.empty())
    throw Error(ErrorCode::kCorrupt, "the adapter has a weight that the base lacks: " + stored.saved.begin()->first);
  for (const auto& [name, copy] : stored.base_copies) {
    const bool of_embedding = name == embedding + ".weight";
    const Tensor own =
        (of_embedding ? weights.embedding.value : weights.output_head().value).cast_to(kernels::DataType::kFloat32);
    const bool same = own.shape() == copy.shape() &&
                      std::equal(own.values<float>().begin(), own.values<float>().end(), copy.values<float>().begin());
    if (!same)
      throw Error(ErrorCode::kConflict, "the adapter carries another " + name +
                                            " than the base, perhaps of a vocabulary that was resized; take the base "
                                            "that it was trained on");
  }
}

PeftAdapter Adapter::to_peft() const {
  PeftAdapter stored;
  stored.config = config_;
  const bool doubled = config_.pissa_iterations() >= 0;
  if (doubled) stored.config = of_twice_the_rank(config_);
  stored.config.init_lora_weights = "true";
  const auto add = [&](const std::string& name, const LinearAdapter& adapter) {
    PeftModule& module = stored.modules[name];
    module.a = doubled ? joined_rows(adapter.a.value, adapter.start_a) : viewed(adapter.a);
    module.b = doubled ? joined_columns(adapter.b.value, adapter.start_b, -1.0f) : viewed(adapter.b);
    module.b_bias = viewed(adapter.b_bias);
    module.magnitude = viewed(adapter.magnitude);
    module.factors = viewed(adapter.factors);
    module.down = viewed(adapter.down);
    module.down_bias = viewed(adapter.down_bias);
    module.up = viewed(adapter.up);
    module.up_bias = viewed(adapter.up_bias);
  };
  for (std::size_t layer = 0; layer < linears_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const auto& adapter = linears_[layer][index_of(kind)];
      if (adapter) add(model_.names.linear(static_cast<std::int64_t>(layer), kind), *adapter);
    }
  }
  if (head_.a.present()) add(std::string(model_.names.head), head_);
  if (embedding_.a.present() || embedding_.rows.present()) {
    PeftModule& module = stored.modules[std::string(model_.names.embedding)];
    module.embedding_a = viewed(embedding_.a);
    module.embedding_b = viewed(embedding_.b);
    module.token_rows = viewed(embedding_.rows);
  }
  const_cast<SavedModules&>(saved_).for_each([&](Weight& weight) { stored.saved[weight.name] = viewed(weight); });
  return stored;
}

void Adapter::save(const std::filesystem::path& folder) const { write_peft_adapter(folder, to_peft()); }

}  // namespace finetune
